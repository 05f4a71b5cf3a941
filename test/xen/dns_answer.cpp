// SPDX-License-Identifier: MIT
// A name server that has one answer: every question for an address (RFC 1035 section 4.1) gets the same one.
#include <arpa/inet.h>
#include <array>
#include <cstdio>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int count, char** words) {
    sockaddr_in own{};
    in_addr answer{};
    own.sin_family = AF_INET;
    own.sin_port = htons(53);
    if (count != 3 || ::inet_pton(AF_INET, words[1], &own.sin_addr) != 1 || ::inet_pton(AF_INET, words[2], &answer) != 1) {
        std::fprintf(stderr, "usage: dns_answer ADDRESS ANSWER\n");
        return 2;
    }
    const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
        std::perror("dns_answer");
        return 1;
    }
    for (std::array<unsigned char, 600> text{};;) {
        sockaddr_in who{};
        socklen_t size_of_who = sizeof who;
        const auto size = ::recvfrom(socket, text.data(), 512, 0, reinterpret_cast<sockaddr*>(&who), &size_of_who);
        std::size_t end = 12; // behind the header: the one question's name, type and class
        while (size > 0 && end < static_cast<std::size_t>(size) && text[end] != 0)
            end += text[end] + 1u;
        end += 5;
        if (size < 17 || end > static_cast<std::size_t>(size))
            continue;
        text[2] = static_cast<unsigned char>(0x84 | (text[2] & 1)); // an authoritative answer
        text[3] = 0;
        text[5] = text[7] = 1; // one question, one answer, and nothing more
        text[9] = text[11] = 0;
        // The name of the question, type A, class IN, a minute to live, four octets.
        const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
        std::memcpy(text.data() + end, record, sizeof record);
        std::memcpy(text.data() + end + sizeof record, &answer, sizeof answer);
        (void)::sendto(socket, text.data(), end + sizeof record + sizeof answer, 0, reinterpret_cast<const sockaddr*>(&who),
                       size_of_who);
    }
}
