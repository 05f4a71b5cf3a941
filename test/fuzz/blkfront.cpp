// SPDX-License-Identifier: MIT
// A hostile disk backend: the input decides what it writes into the ring and into every page that it was granted, and
// when, while operations begin and are given up. Nothing beside what is transferred may be touched, and in the end
// everything is back.
#include "../unit/xen/channel_book.hpp"
#include "../unit/xen/grant_book.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/xen/blkfront/data_path.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

using namespace mirage;
using fuzz::expect;

namespace {

constexpr domid_t backend = 3;
constexpr std::size_t room = 16 * 4096;

struct domain {
    scheduler loop_{};
    xen::test::grant_book book{};
    xen::test::channel_book channels{};
    scheduler& loop() noexcept { return loop_; }
    xen::test::grant_book& grants() noexcept { return book; }
    xen::test::channel_book& events() noexcept { return channels; }
    instant now() const noexcept { return {}; }
    /// Who waits for the backend gets what he waits for: it lets go of everything.
    void wait(instant) noexcept;
    std::byte* ring = nullptr;
    void let_go() {
        for (grant_ref_t ref = 8; ref < 600; ++ref)
            while (book.is_mapped(ref))
                book.unmap(ref);
    }
};

using path = xen::blkfront_data_path<domain>;

void claim(std::byte* ring, std::uint32_t more) {
    auto& producer = reinterpret_cast<blkif_sring*>(ring)->rsp_prod;
    std::atomic_ref{producer}.store(producer + more);
}
void answer(std::byte* ring, std::uint64_t id, std::int16_t status) {
    const blkif_response r{.id = id, .operation = 0, .status = status};
    const std::uint32_t at = reinterpret_cast<blkif_sring*>(ring)->rsp_prod;
    std::memcpy(ring + offsetof(blkif_sring, ring) + (at & 31) * sizeof(blkif_sring_entry), &r, sizeof r);
    claim(ring, 1);
}

void domain::wait(instant) noexcept {
    let_go();
    claim(ring, 1u << 30); // and is not believed any more
}

/// An operation, and memory with what must not be touched around it.
struct job {
    struct aligned {
        void operator()(std::byte* p) const noexcept { ::operator delete(p, std::align_val_t{4096}); }
    };
    std::unique_ptr<std::byte, aligned> memory{
        static_cast<std::byte*>(::operator new(room, std::align_val_t{4096}))};
    std::size_t begin = 0, size = 0;
    std::optional<block_result> out{};
    nursery tasks;

    explicit job(scheduler& loop) : tasks{loop} { std::memset(memory.get(), 0xa5, room); }
    bool unharmed() const {
        for (std::size_t i = 0; i < room; ++i)
            if ((i < begin || i >= begin + size) && memory.get()[i] != std::byte{0xa5})
                return false;
        return true;
    }
    task<> run(path& on, block_request request) { out = co_await path::transfer{on, request}; }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::script script{fuzz::input(data, size)};
    domain home;
    home.book.peer = backend;
    event changed{home.loop()};
    {
        path front{home, changed, {.ring_pages = 1, .data_pages = 16, .indirect_pages = 2}};
        expect(front.ready(), "there is memory");
        expect(front.open(backend, 0, 1).has_value(), "it opens");
        std::byte* const ring = home.ring = home.book.map(front.ring_ref(0), true);
        const unsigned features = script.number<std::uint8_t>();
        const std::uint32_t unit = 512u << (features & 3);
        front.serve({.sectors = 1 << 20, .sector_size = unit, .segments = (features & 4) != 0 ? 32u : 11u,
                     .persistent = (features & 8) != 0, .flushes = (features & 16) != 0,
                     .barriers = (features & 32) != 0, .discards = true});
        std::vector<std::unique_ptr<job>> jobs;
        while (!script.done() && !front.broken()) {
            switch (script.choice(8)) {
            case 0:
            case 1: { // an operation begins
                if (jobs.size() > 40)
                    break;
                auto j = std::make_unique<job>(home.loop());
                const auto action = static_cast<block_action>(script.choice(4));
                j->begin = script.choice(2) == 0 ? script.choice(4) * 4096 : script.number<std::uint16_t>() % 8192;
                const std::size_t count = 1 + script.choice(static_cast<unsigned>((room - j->begin) / unit));
                j->size = action == block_action::read ? count * unit : 0;
                block_request r{action, script.number<std::uint16_t>(), count, j->memory.get() + j->begin};
                if (action == block_action::flush)
                    r = {.action = action};
                expect(j->tasks.spawn(j->run(front, r)).has_value(), "there is memory");
                jobs.push_back(std::move(j));
                break;
            }
            case 2: // it is given up, and its memory is free
                if (!jobs.empty()) {
                    const std::size_t n = script.choice(static_cast<unsigned>(jobs.size()));
                    jobs.erase(jobs.begin() + static_cast<std::ptrdiff_t>(n));
                }
                break;
            case 3:
                while (home.loop().run_ready()) {
                }
                break;
            case 4:
                answer(ring, script.choice(8) != 0 ? script.choice(32) : script.number<std::uint64_t>(),
                       static_cast<std::int16_t>(script.choice(4)) - 2 < 0 ? std::int16_t{-1} : std::int16_t{0});
                front.turn();
                break;
            case 5: // the index, or any octets anywhere in the ring
                if (script.choice(2) == 0)
                    claim(ring, script.choice(4) != 0 ? script.choice(3) : script.number<std::uint32_t>());
                else
                    std::ranges::copy(script.take(script.choice(64)),
                                      ring + script.number<std::uint16_t>() % (4096 - 64));
                front.turn();
                break;
            case 6: { // it writes to what it may write to, and maps what it likes
                const grant_ref_t ref = 8 + script.number<std::uint8_t>();
                const bool write = script.choice(2) == 0;
                if (std::byte* const page = home.book.map(ref, write); page != nullptr) {
                    if (write && page != ring)
                        std::memset(page, script.number<std::uint8_t>(), 4096);
                    if (script.choice(4) != 0)
                        home.book.unmap(ref);
                }
                break;
            }
            default: // another backend
                if (script.choice(8) == 0)
                    home.let_go();
                if (script.choice(8) == 0) {
                    home.let_go();
                    expect(front.close(), "everything can be taken back");
                    expect(home.book.in_use() == 0, "no grant is left");
                    expect(front.open(backend, 0, 1).has_value(), "it opens again");
                    home.ring = home.book.map(front.ring_ref(0), true);
                    expect(home.ring == ring, "the same page");
                    front.serve(front.disk());
                }
            }
            for (const auto& j : jobs)
                expect(j->unharmed(), "nothing beside a transfer is touched");
        }
        if (script.choice(2) == 0)
            front.depart();
        jobs.clear();
        home.let_go();
        expect(front.close(), "everything can be taken back");
        expect(home.book.in_use() == 0, "no grant is left");
        expect(home.channels.open() == 0, "no channel is left");
        while (home.loop().run_ready()) {
        }
    }
    return 0;
}
