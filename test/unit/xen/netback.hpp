// SPDX-License-Identifier: MIT
// A network backend in memory, which serves the rings of a netfront as Linux's netback does, and can be told to serve
// them badly.
#pragma once
#include "mirage/core/address.hpp"
#include "mirage/core/octets.hpp"
#include "mirage/xen/public.hpp"
#include <atomic>
#include <bit>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace mirage::xen::test {

/// The backend's side of a ring.
template <class Shared>
class back_ring {
    using entry = std::remove_cvref_t<decltype(std::declval<Shared&>().ring[0])>;
    Shared* shared_ = nullptr;

public:
    using request = decltype(entry::req);
    using response = decltype(entry::rsp);
    static constexpr std::uint32_t size = std::bit_floor((4096 - offsetof(Shared, ring)) / sizeof(entry));

    std::uint32_t taken = 0;    ///< requests
    std::uint32_t answered = 0; ///< responses written

    void open(void* page) noexcept {
        shared_ = static_cast<Shared*>(page);
        taken = answered = 0;
    }
    explicit operator bool() const noexcept { return shared_ != nullptr; }
    Shared& shared() const noexcept { return *shared_; }
    entry& at(std::uint32_t i) const noexcept {
        return *reinterpret_cast<entry*>(reinterpret_cast<std::byte*>(shared_) + offsetof(Shared, ring)
                                         + (i & (size - 1)) * sizeof(entry));
    }

    std::uint32_t waiting() const noexcept { return std::atomic_ref{shared_->req_prod}.load() - taken; }
    /// Nothing is left: the frontend has to notify of the next request.
    void sleep() const noexcept { std::atomic_ref{shared_->req_event}.store(taken + 1); }

    /// Shows what has been answered. Whether the frontend wants to be notified.
    bool push() noexcept {
        const std::uint32_t before = shared_->rsp_prod;
        std::atomic_ref{shared_->rsp_prod}.store(answered);
        const std::uint32_t event = std::atomic_ref{shared_->rsp_event}.load();
        return answered - event < answered - before;
    }
};

/// A frame that the frontend sent.
struct sent_frame {
    std::string octets{};
    std::uint16_t flags = 0;          ///< NETTXF_*
    std::uint16_t gso_size = 0;
    std::uint8_t gso_type = XEN_NETIF_GSO_TYPE_NONE;
    std::size_t slots = 0;
};

/// How a frame is sent to the frontend.
struct how_to_send {
    std::uint16_t flags = 0; ///< NETRXF_* of the first slot, without more_data and extra_info
    std::uint16_t gso_size = 0;
    std::size_t per_slot = 4096;
    std::uint16_t offset = 0;
};

/// `Grants` has `std::byte* map(grant_ref_t, bool write)`: the granted page, or nullptr when there is no such grant; and
/// `unmap(grant_ref_t)`.
template <class Grants>
class netback {
    Grants& grants_;

    std::byte* page_of(grant_ref_t ref, bool write) {
        std::byte* const page = grants_.map(ref, write);
        if (page == nullptr)
            ++bad_grants;
        return page;
    }

public:
    back_ring<netif_tx_sring> tx;
    back_ring<netif_rx_sring> rx;
    std::deque<sent_frame> sent;
    std::vector<mac_address> groups;
    struct taken_request {
        grant_ref_t ref = 0;
        std::uint16_t id = 0;
        std::size_t extras = 0;
    };
    std::vector<taken_request> held; ///< mapped, and not answered yet
    bool answers = true;      ///< false: requests are taken and kept
    std::size_t bad_grants = 0, bad_packets = 0;
    std::size_t notified = 0; ///< times the frontend was

    explicit netback(Grants& grants) noexcept : grants_{grants} {}

    /// Takes every packet that is there whole. Returns how many.
    std::size_t serve() {
        std::size_t packets = 0;
        while (tx.waiting() > 0) {
            take_packet();
            ++packets;
        }
        tx.sleep();
        return packets;
    }

    void answer(std::uint16_t id, std::int16_t status) {
        tx.at(tx.answered++).rsp = {.id = id, .status = status};
    }

    /// Shows the frontend the answers there are. Whether it has to be notified.
    bool push() {
        bool notify = tx && tx.push();
        notify = (rx && rx.push()) || notify;
        notified += notify ? 1 : 0;
        return notify;
    }

    /// Answers what was kept.
    void answer_held() {
        for (const taken_request& r : held) {
            grants_.unmap(r.ref);
            answer_all(r);
        }
        held.clear();
    }

    /// Sends a frame. False: not enough requests are there.
    bool send(std::string_view frame, const how_to_send& how = {}) {
        const std::size_t slots = (frame.size() + how.per_slot - 1) / how.per_slot + (how.gso_size != 0 ? 1 : 0);
        if (rx.waiting() < slots)
            return false;
        for (std::size_t done = 0, slot = 0; done < frame.size(); ++slot) {
            const auto n = std::min(how.per_slot, frame.size() - done);
            const auto request = rx.at(rx.taken).req;
            std::byte* const page = page_of(request.gref, true);
            if (page != nullptr) {
                std::memcpy(page + how.offset, frame.data() + done, n);
                grants_.unmap(request.gref);
            }
            std::uint16_t flags = slot == 0 ? how.flags : std::uint16_t{0};
            if (slot == 0 && how.gso_size != 0)
                flags |= NETRXF_extra_info;
            done += n;
            if (done < frame.size())
                flags |= NETRXF_more_data;
            respond({.id = request.id, .offset = how.offset, .flags = flags, .status = static_cast<std::int16_t>(n)});
            if (slot == 0 && how.gso_size != 0) {
                netif_extra_info extra{};
                extra.type = XEN_NETIF_EXTRA_TYPE_GSO;
                extra.u.gso.size = how.gso_size;
                extra.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV4;
                respond(std::bit_cast<netif_rx_response>(extra));
            }
        }
        return true;
    }

    /// Answers the next receive request, with anything.
    void respond(netif_rx_response response) {
        ++rx.taken;
        rx.at(rx.answered++).rsp = response;
    }

    void answer_all(const taken_request& r) {
        answer(r.id, NETIF_RSP_OKAY);
        for (std::size_t n = r.extras; n-- > 0;)
            answer(0xffff, NETIF_RSP_NULL);
    }

private:
    void take_packet() {
        sent_frame frame;
        const netif_tx_request first = tx.at(tx.taken++).req;
        frame.flags = first.flags;
        frame.slots = 1;
        std::size_t extras = 0;
        bool more_extras = (first.flags & NETTXF_extra_info) != 0;
        std::optional<mac_address> group;
        while (more_extras && tx.waiting() > 0) {
            netif_extra_info extra;
            std::memcpy(&extra, &tx.at(tx.taken++), sizeof extra);
            ++extras;
            if (extra.type == XEN_NETIF_EXTRA_TYPE_GSO) {
                frame.gso_size = extra.u.gso.size;
                frame.gso_type = extra.u.gso.type;
            } else if (extra.type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD || extra.type == XEN_NETIF_EXTRA_TYPE_MCAST_DEL) {
                std::memcpy(group.emplace().octet.data(), extra.u.mcast.addr, 6);
                if (extra.type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD)
                    groups.push_back(*group);
                else
                    std::erase(groups, *group);
            } else {
                ++bad_packets;
            }
            more_extras = (extra.flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
        }
        std::vector<netif_tx_request> requests{first};
        while ((requests.back().flags & NETTXF_more_data) != 0) {
            if (tx.waiting() == 0) {
                ++bad_packets;
                break;
            }
            requests.push_back(tx.at(tx.taken++).req);
        }
        frame.slots = requests.size();
        std::size_t rest = 0;
        for (std::size_t i = 1; i < requests.size(); ++i)
            rest += requests[i].size;
        if (frame.slots > XEN_NETIF_NR_SLOTS_MIN || first.size < rest)
            ++bad_packets;
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const netif_tx_request& r = requests[i];
            const std::size_t size = i != 0 ? r.size : first.size < rest ? 0 : first.size - rest;
            if (r.offset + size > 4096 || (size == 0 && !group))
                ++bad_packets;
            else if (!group)
                if (const std::byte* const page = page_of(r.gref, false)) {
                    frame.octets += as_text({page + r.offset, size});
                    if (answers)
                        grants_.unmap(r.gref);
                }
        }
        if (!group)
            sent.push_back(std::move(frame));
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const taken_request r{requests[i].gref, requests[i].id, i == 0 ? extras : 0};
            if (answers || group)
                answer_all(r);
            else
                held.push_back(r);
        }
    }
};

} // namespace mirage::xen::test
