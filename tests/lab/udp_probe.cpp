// udp_probe: the lab's UDP traffic. `echo` answers, `discard` swallows, `ping` sends a sparse stream and
// measures round trips and loss, `flood` sends at a fixed rate and listens to nobody. All clocks are
// CLOCK_MONOTONIC.
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>

#include "clock.hpp"
#include "core/result.hpp"
#include "pause_listener.hpp"
#include "probe_log.hpp"
#include "rate_schedule.hpp"

namespace lab {

namespace {

using sluice::fail;
using sluice::fail_errno;
using sluice::Result;

constexpr size_t ethernet_ip4_udp = 14 + 20 + 8, ethernet_ip6_udp = 14 + 40 + 8;

struct ProbePacket {
    uint64_t seq, sent_ns;
};

struct Options {
    std::string to, rate = "150mbit", pause_device, pause_speed = "10gbit";
    uint16_t port = 7, source_port = 0;
    size_t frame_bytes = 64;
    double interval_ms = 5, linger_ms = 1000, seconds = 1e9;
    unsigned overhead = 24, mpu = 84;
    uint64_t go_ns = 0;
    std::vector<std::string> windows;
};

Fd termination_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// A socket of the destination's family, connected; the frame size decides the payload.
Result<Fd> connect_udp(const Options &options, size_t &payload) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_DGRAM;
    if (getaddrinfo(options.to.c_str(), std::to_string(options.port).c_str(), &hints, &found) != 0)
        return fail("'" + options.to + "' is not an address");
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> holder(found, freeaddrinfo);
    Fd fd(socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_storage local{};
    local.ss_family = static_cast<sa_family_t>(found->ai_family);
    reinterpret_cast<sockaddr_in *>(&local)->sin_port = htons(options.source_port); // same place in IPv6
    if (bind(fd.get(), reinterpret_cast<sockaddr *>(&local), found->ai_addrlen) < 0 ||
        connect(fd.get(), found->ai_addr, found->ai_addrlen) < 0)
        return fail_errno(errno, "connect UDP to " + options.to);
    const size_t headers = found->ai_family == AF_INET6 ? ethernet_ip6_udp : ethernet_ip4_udp;
    payload = std::max(options.frame_bytes, headers + sizeof(ProbePacket)) - headers;
    return fd;
}

Result<Fd> serve_udp(uint16_t port) {
    Fd fd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    if (bind(fd.get(), reinterpret_cast<sockaddr *>(&any), sizeof(any)) < 0)
        return fail_errno(errno, "bind UDP port " + std::to_string(port));
    std::puts("ready");
    std::fflush(stdout);
    return fd;
}

// A bound socket that nobody reads: datagrams end there without an ICMP error.
Result<> discard(const Options &options) {
    auto fd = serve_udp(options.port);
    if (!fd)
        return tl::unexpected(fd.error());
    for (;;)
        pause();
}

Result<> echo(const Options &options) {
    auto socket_or = serve_udp(options.port);
    if (!socket_or)
        return tl::unexpected(socket_or.error());
    const Fd &fd = *socket_or;
    for (;;) {
        std::array<char, 65536> buffer;
        sockaddr_in6 peer{};
        socklen_t length = sizeof(peer);
        const ssize_t n =
            recvfrom(fd.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr *>(&peer), &length);
        if (n >= 0)
            sendto(fd.get(), buffer.data(), static_cast<size_t>(n), 0, reinterpret_cast<sockaddr *>(&peer),
                   length);
    }
}

void receive_replies(int fd, ProbeLog &log) {
    std::array<char, 65536> buffer;
    while (recv(fd, buffer.data(), buffer.size(), 0) >= static_cast<ssize_t>(sizeof(ProbePacket))) {
        ProbePacket reply{};
        std::memcpy(&reply, buffer.data(), sizeof(reply));
        log.received(reply.seq, now_ns());
    }
}

Result<> ping(const Options &options) {
    size_t payload = 0;
    auto fd = connect_udp(options, payload);
    if (!fd)
        return tl::unexpected(fd.error());
    const Fd signals = termination_signals();
    ProbeLog log(options.go_ns ? options.go_ns : now_ns());
    std::vector<char> packet(payload);
    const auto interval = static_cast<uint64_t>(options.interval_ms * 1e6);
    uint64_t next = now_ns(), end = next + static_cast<uint64_t>(options.seconds * 1e9);
    bool sending = true;
    while (sending || now_ns() < end) {
        const uint64_t now = now_ns();
        if (sending && now >= next) {
            const ProbePacket header{log.sent(now), now};
            std::memcpy(packet.data(), &header, sizeof(header));
            send(fd->get(), packet.data(), packet.size(), 0);
            next += interval;
        }
        const uint64_t until = sending ? next : end;
        const uint64_t wait = until > now ? until - now : 0;
        const timespec timeout{static_cast<time_t>(wait / 1'000'000'000),
                               static_cast<long>(wait % 1'000'000'000)};
        std::array<pollfd, 2> polls{{{fd->get(), POLLIN, 0}, {sending ? signals.get() : -1, POLLIN, 0}}};
        ppoll(polls.data(), polls.size(), &timeout, nullptr);
        receive_replies(fd->get(), log);
        if (sending && (polls[1].revents & POLLIN || now_ns() >= end)) {
            sending = false;
            end = now_ns() + static_cast<uint64_t>(options.linger_ms * 1e6);
        }
    }
    std::puts(log.report(options.windows).dump().c_str());
    return {};
}

// Waits as long as the neighbour asks for; returns for how long, which the sender does not make good.
uint64_t silence(std::optional<PauseListener> &pause) {
    if (!pause)
        return 0;
    const uint64_t begin = now_ns();
    uint64_t now = begin;
    for (uint64_t until; (until = pause->silent_until_ns(now)) > now; now = now_ns()) {
        const timespec timeout{0, static_cast<long>(std::min<uint64_t>(until - now, 100'000'000))};
        pollfd heard{pause->poll_fd(), POLLIN, 0};
        ppoll(&heard, 1, &timeout, nullptr);
    }
    return now - begin;
}

Result<> flood(const Options &options) {
    size_t payload = 0;
    auto fd = connect_udp(options, payload);
    if (!fd)
        return tl::unexpected(fd.error());
    fcntl(fd->get(), F_SETFL, 0); // blocking
    const auto rate = parse_rate(options.rate);
    if (!rate || *rate <= 0)
        return fail("flood rate '" + options.rate + "' is not a rate", "write it like 150mbit");
    std::optional<PauseListener> pause;
    if (!options.pause_device.empty()) {
        auto listener = PauseListener::open(options.pause_device, *parse_rate(options.pause_speed) * 8);
        if (!listener)
            return tl::unexpected(listener.error());
        pause = std::move(*listener);
    }
    const Fd signals = termination_signals();
    const double wire =
        std::max<double>(static_cast<double>(options.frame_bytes + options.overhead), options.mpu);
    const auto gap = wire / *rate * 1e9;
    std::vector<char> packet(payload);
    uint64_t begin = now_ns(), sent = 0, errors = 0;
    const uint64_t start = begin, end = begin + static_cast<uint64_t>(options.seconds * 1e9);
    for (bool stop = false; !stop && now_ns() < end;) {
        begin += silence(pause);
        const auto due = static_cast<uint64_t>(static_cast<double>(now_ns() - begin) / gap);
        for (int burst = 0; sent <= due && burst < (pause ? 1 : 64); burst++) {
            const ProbePacket header{sent++, now_ns()};
            std::memcpy(packet.data(), &header, sizeof(header));
            errors += send(fd->get(), packet.data(), packet.size(), 0) < 0 ? 1 : 0;
        }
        const uint64_t next = begin + static_cast<uint64_t>(static_cast<double>(sent) * gap), now = now_ns();
        const uint64_t wait = next > now ? next - now : 0;
        const timespec timeout{static_cast<time_t>(wait / 1'000'000'000),
                               static_cast<long>(wait % 1'000'000'000)};
        pollfd poll_signal{signals.get(), POLLIN, 0};
        stop = ppoll(&poll_signal, 1, &timeout, nullptr) > 0;
    }
    const double elapsed = static_cast<double>(now_ns() - start) / 1e9;
    const nlohmann::json result = {{"sent", sent},
                                   {"errors", errors},
                                   {"pauses", pause ? pause->pauses() : 0},
                                   {"resumes", pause ? pause->resumes() : 0},
                                   {"seconds", elapsed},
                                   {"mbit", static_cast<double>(sent) * wire * 8 / 1e6 / elapsed}};
    std::puts(result.dump().c_str());
    return {};
}

} // namespace

} // namespace lab

int main(int argc, char **argv) {
    CLI::App app{"udp_probe: UDP echo, sparse round-trip probe, and flood"};
    lab::Options o;
    auto *echo = app.add_subcommand("echo", "answer every datagram");
    auto *discard = app.add_subcommand("discard", "take datagrams and do nothing");
    auto *ping = app.add_subcommand("ping", "sparse probe; JSON at the end or at SIGTERM");
    auto *flood = app.add_subcommand("flood", "fixed rate, unresponsive");
    for (auto *sub : {echo, discard, ping, flood})
        sub->add_option("--port", o.port)->capture_default_str();
    for (auto *sub : {ping, flood}) {
        sub->add_option("--to", o.to, "numeric address")->required();
        sub->add_option("--source-port", o.source_port, "0 = any");
        sub->add_option("--frame", o.frame_bytes, "bytes of a frame, Ethernet header included");
        sub->add_option("--seconds", o.seconds, "default: until SIGTERM");
    }
    ping->add_option("--interval-ms", o.interval_ms)->capture_default_str();
    ping->add_option("--linger-ms", o.linger_ms, "wait for late replies")->capture_default_str();
    ping->add_option("--go-ns", o.go_ns, "time zero of the windows, CLOCK_MONOTONIC; default: start");
    ping->add_option("--window", o.windows, "FROM:TO seconds; statistics of what was sent in it");
    flood->add_option("--rate", o.rate, "on the wire")->capture_default_str();
    flood->add_option("--obey-pause", o.pause_device,
                      "be silent when PAUSE frames on this device ask for it");
    flood->add_option("--pause-speed", o.pause_speed, "of its link, for their quanta")->capture_default_str();
    app.require_subcommand(1);
    CLI11_PARSE(app, argc, argv);
    prctl(PR_SET_TIMERSLACK, 1);
    const auto done = *echo      ? lab::echo(o)
                      : *discard ? lab::discard(o)
                      : *ping    ? lab::ping(o)
                                 : lab::flood(o);
    if (!done)
        std::fprintf(stderr, "udp_probe: %s\n", sluice::to_string(done.error()).c_str());
    return done ? 0 : 1;
}
