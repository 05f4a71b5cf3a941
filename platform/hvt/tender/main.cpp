// SPDX-License-Identifier: MIT
// mirage-hvt: a tender for Solo5 hvt unikernels. Order of work: options, image, devices, machine, sandbox,
// run.
#include "boot.hpp"
#include "core_file.hpp"
#include "deprivileged.hpp"
#include "devices.hpp"
#include "elf.hpp"
#include "gdb_server.hpp"
#include "hypercalls.hpp"
#include "kvm.hpp"
#include "mirage/hosted/sandbox.hpp"
#include "net_ring.hpp"
#include "options.hpp"
#include "poller.hpp"
#include "report.hpp"
#include "sandbox.hpp"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace mirage;
using namespace mirage::tender;

template <class T>
T must(outcome<T> got) {
    if (!got)
        die(got.error());
    if constexpr (!std::is_void_v<T>)
        return std::move(*got);
}

/// The whole file, mapped: what is not looked at is not read.
std::span<const std::byte> map_file(const std::string& path) {
    const hosted::unique_fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat about {};
    if (!file || ::fstat(file.get(), &about) != 0)
        die(path + ": " + std::strerror(errno));
    if (!S_ISREG(about.st_mode))
        die(path + ": not a file");
    if (about.st_size == 0)
        return {};
    const auto size = static_cast<std::size_t>(about.st_size);
    void* const at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (at == MAP_FAILED)
        die(path + ": " + std::strerror(errno));
    return {static_cast<const std::byte*>(at), size};
}

/// Everything that lives must not outlive the process: the kernel takes it all back.
void end_by_signal(int) {
    constexpr char text[] = "mirage-hvt: ended by a signal\n";
    (void)!::write(STDERR_FILENO, text, sizeof text - 1);
    ::_exit(1);
}

void handle_signals() {
    struct sigaction action {};
    action.sa_handler = end_by_signal;
    (void)::sigaction(SIGINT, &action, nullptr);
    (void)::sigaction(SIGTERM, &action, nullptr);
    (void)::signal(SIGPIPE, SIG_IGN);
}

/// Where a guest that cannot go on leaves its memory, when somebody wants it.
struct {
    const guest_memory* memory = nullptr;
    std::optional<core_file> file{};
} dump;

/// Set for a guest that was written for ring 0 and started in ring 3.
std::optional<deprivileged> ring_3;

deprivileged* deprivileged_guest() {
    return ring_3 ? &*ring_3 : nullptr;
}

bool starts_in_ring_3(options::first_ring chosen, const image& unikernel, const virtual_machine& machine,
                      const guest_memory& memory) {
    if (chosen != options::first_ring::automatic)
        return chosen == options::first_ring::ring_3;
    return unikernel.is_solo5s && emulates_ring_0(machine, memory); // ours leave ring 0 themselves
}

register_file registers_now(const virtual_machine& machine) {
    register_file now = read_registers(machine);
    if (ring_3)
        ring_3->show(now);
    return now;
}

[[noreturn]] void stop_guest(const virtual_machine& machine, const std::string& why, std::span<const std::byte> file) {
    report_stop(machine, why, file, ring_3.has_value());
    if (dump.file)
        dump.file->write(*dump.memory, registers_now(machine), SIGSEGV);
    std::_Exit(1);
}

/// Enters the guest until it halts.
halted run(const virtual_machine& machine, hypercalls& calls, std::span<const std::byte> file) {
    for (;;) {
        const int error = machine.enter();
        if (error == EINTR)
            continue;
        if (const auto served = serve_exit(machine, error, calls, deprivileged_guest()); !served)
            stop_guest(machine, served.error(), file);
        if (calls.end())
            return *calls.end();
    }
}

kvm_run* debugged = nullptr; ///< while gdb has it

/// Gdb has said something: KVM_RUN ends, at once or as soon as it begins.
void end_run(int) {
    if (kvm_run* const run = debugged)
        run->immediate_exit = 1;
}

/// The same as gdb wants it.
halted run_debugged(const virtual_machine& machine, hypercalls& calls, gdb_server& gdb, std::span<const std::byte> file) {
    const auto end = gdb.run(calls, [&](const std::string& why) { stop_guest(machine, why, file); });
    debugged = nullptr;
    machine.run().immediate_exit = 0;
    return end ? *end : run(machine, calls, file);
}

} // namespace

int main(int argc, char** argv) {
    const options chosen = must(options::parse(argc, argv));
    if (chosen.help) {
        std::fwrite(help_text.data(), 1, help_text.size(), stdout);
        return 0;
    }
    if (chosen.version) {
        std::printf("mirage-hvt tender, version %s\nABI version 2\n", MIRAGE_VERSION);
        return 0;
    }
    hosted::close_other_descriptors(adopted_descriptors(chosen));
    handle_signals();

    const auto file = map_file(chosen.image);
    auto unikernel = image::parse(file, chosen.memory << 20);
    if (!unikernel)
        die(chosen.image + ": " + unikernel.error());
    auto devices = must(attach_devices(unikernel->devices, chosen));
    bool has_net = false;
    for (const device& d : devices)
        has_net |= d.net != nullptr;

    auto machine = must(virtual_machine::open());
    const bool with_ring = has_net && machine.can_bind_ports();
    auto memory = must(guest_memory::reserve(chosen.memory << 20, with_ring));
    if (unikernel->kernel_end > memory.size())
        die(chosen.image + ": does not fit into the guest's memory; give it more with --mem=");
    must(load(memory, file, *unikernel));
    // Memory is complete before KVM sees it, and KVM sees it before there is a processor: both save KVM's
    // waiting for users of an older map.
    must(machine.map(memory));
    must(machine.create_processor());
    write_boot_info(memory, *unikernel, must(machine.tsc_frequency()), chosen.arguments, with_ring);
    must(prepare_processor(machine, memory, unikernel->entry));
    if (starts_in_ring_3(chosen.ring, *unikernel, machine, memory))
        must(ring_3.emplace(machine, memory).begin());

    must(hosted::drop_privileges());
    // Waited for with no privileges, and still outside of the sandbox.
    std::optional<debugger> debug;
    std::optional<gdb_server> gdb;
    if (chosen.gdb) {
        debugged = &machine.run();
        (void)::signal(SIGIO, end_run);
        gdb.emplace(debug.emplace(machine, memory, deprivileged_guest(), kvm_debugs_ring_3()), memory, must(gdb_link::wait_at(*chosen.gdb)));
    }
    poller frames = must(poller::open(devices, gdb ? gdb->descriptor() : -1));
    if (gdb)
        frames.on_attention([&] { gdb->attend(); });
    std::optional<net_ring> ring;
    if (with_ring) {
        must(ring.emplace(memory, devices).start());
        if (!machine.bind_port(PORT_RING_KICK, ring->kick_descriptor()))
            die("KVM does not connect the network ring's kick");
    }
    hypercalls calls{memory, devices, frames, ring ? &*ring : nullptr};
    std::optional<call_trace> trace;
    if (chosen.trace)
        calls.tell(trace.emplace(must(call_trace::open(*chosen.trace))));
    if (chosen.dumpcore) {
        dump.memory = &memory;
        dump.file = must(core_file::prepare(*chosen.dumpcore));
    }
    must(enter_sandbox(chosen.gdb.has_value(), chosen.dumpcore.has_value(), ring_3.has_value()));

    const halted end = gdb ? run_debugged(machine, calls, *gdb, file) : run(machine, calls, file);
    for (const device& d : devices)
        if (d.net)
            d.net->finish_capture();
    if (end.status == 255) {
        report_fault(memory, end.cookie, file);
        if (dump.file) {
            const register_file now = registers_now(machine);
            const auto then = registers_of_fault(memory, end.cookie, now);
            dump.file->write(memory, then ? *then : now, then ? SIGSEGV : SIGABRT);
        }
    }
    std::_Exit(end.status);
}
