// l4s_flow: a UDP flow that behaves as an L4S sender must (RFC 9331): it sends ECT(1) and answers CE in
// proportion, as DCTCP does (RFC 8257). The kernel of the lab has no such TCP. `receive` tells the sender of
// each datagram whether it came with CE; `send` keeps a window of datagrams under way. All clocks are
// CLOCK_MONOTONIC.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "clock.hpp"
#include "core/result.hpp"

namespace lab {

namespace {

using sluice::fail;
using sluice::fail_errno;
using sluice::Result;

constexpr int ect1 = 1, ce = 3, ecn_mask = 3;
constexpr double gain = 1.0 / 16; // RFC 8257 section 3.3, g
constexpr double first_window = 10, smallest_window = 2;
constexpr uint64_t longest_silence_ns = 300'000'000; // then everything under way is taken for lost

struct Datagram {
    uint64_t seq, sent_ns, ce;
};

struct Options {
    std::string to;
    uint16_t port = 8, source_port = 0;
    size_t payload = 1200;
    double seconds = 5, warmup_s = 1;
};

// The two ECN bits that a datagram arrived with, of either family.
int ecn_of(msghdr &message) {
    for (cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        int value = 0;
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            return *CMSG_DATA(c) & ecn_mask;
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            std::memcpy(&value, CMSG_DATA(c), sizeof(value));
            return value & ecn_mask;
        }
    }
    return 0;
}

Result<> receive(const Options &options) {
    const Fd fd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(options.port);
    const int on = 1;
    if (bind(fd.get(), reinterpret_cast<sockaddr *>(&any), sizeof(any)) < 0 ||
        setsockopt(fd.get(), IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)) < 0 ||
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on)) < 0)
        return fail_errno(errno, "receive on UDP port " + std::to_string(options.port));
    std::puts("ready");
    std::fflush(stdout);
    for (;;) {
        std::array<char, 65536> buffer;
        alignas(cmsghdr) std::array<char, 128> control;
        sockaddr_in6 peer{};
        iovec data{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_name = &peer;
        message.msg_namelen = sizeof(peer);
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        if (recvmsg(fd.get(), &message, 0) < static_cast<ssize_t>(sizeof(Datagram)))
            continue;
        Datagram d{};
        std::memcpy(&d, buffer.data(), sizeof(d));
        d.ce = ecn_of(message) == ce;
        sendto(fd.get(), &d, sizeof(d), 0, reinterpret_cast<sockaddr *>(&peer), message.msg_namelen);
    }
}

// The window: doubled per round trip until the first mark, then one more per round trip, less by the share of
// marks.
class Window {
  public:
    uint64_t next = 0, acked = 0, lost = 0, marked = 0; // datagrams; `acked` also counts the lost ones

    [[nodiscard]] bool open() const { return static_cast<double>(next - acked) < size_; }
    [[nodiscard]] double size() const { return size_; }

    void ack(const Datagram &d) {
        if (d.seq < acked)
            return; // taken for lost before
        const uint64_t missing = d.seq - acked;
        lost += missing;
        acked = d.seq + 1;
        marked += d.ce;
        round_acks_++;
        round_marks_ += d.ce;
        round_losses_ += missing;
        if (d.ce || missing)
            slow_start_ = false;
        if (slow_start_)
            size_ += 1;
        if (d.seq >= round_end_)
            end_round();
    }

    void timeout() {
        lost += next - acked;
        acked = next;
        slow_start_ = false;
        size_ = smallest_window;
    }

  private:
    void end_round() {
        alpha_ += gain * (static_cast<double>(round_marks_) / static_cast<double>(round_acks_) - alpha_);
        if (round_losses_)
            size_ /= 2;
        else if (round_marks_)
            size_ *= 1 - alpha_ / 2;
        else if (!slow_start_)
            size_ += 1;
        size_ = std::max(size_, smallest_window);
        round_end_ = next;
        round_acks_ = round_marks_ = round_losses_ = 0;
    }

    double size_ = first_window, alpha_ = 1;
    bool slow_start_ = true;
    uint64_t round_end_ = 0, round_acks_ = 0, round_marks_ = 0, round_losses_ = 0;
};

Result<Fd> connect_ect1(const Options &options) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_DGRAM;
    if (getaddrinfo(options.to.c_str(), std::to_string(options.port).c_str(), &hints, &found) != 0)
        return fail("'" + options.to + "' is not an address");
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> holder(found, freeaddrinfo);
    Fd fd(socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const bool v6 = found->ai_family == AF_INET6;
    sockaddr_storage local{};
    local.ss_family = static_cast<sa_family_t>(found->ai_family);
    reinterpret_cast<sockaddr_in *>(&local)->sin_port = htons(options.source_port); // same place in IPv6
    if (setsockopt(fd.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &ect1, sizeof(ect1)) <
            0 ||
        bind(fd.get(), reinterpret_cast<sockaddr *>(&local), found->ai_addrlen) < 0 ||
        connect(fd.get(), found->ai_addr, found->ai_addrlen) < 0)
        return fail_errno(errno, "connect UDP to " + options.to);
    return fd;
}

nlohmann::json percentiles_ms(std::vector<uint64_t> &values) {
    std::sort(values.begin(), values.end());
    const auto at = [&](double share) {
        return values.empty()
                   ? 0
                   : static_cast<double>(
                         values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))]) /
                         1e6;
    };
    return {{"min", at(0)}, {"p50", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}};
}

Result<> send(const Options &options) {
    auto fd = connect_ect1(options);
    if (!fd)
        return tl::unexpected(fd.error());
    Window window;
    std::vector<char> packet(std::max(options.payload, sizeof(Datagram)));
    std::vector<uint64_t> rtts;
    uint64_t begin = now_ns(), last_ack = begin, next_send = begin, measured = 0;
    const uint64_t end = begin + static_cast<uint64_t>(options.seconds * 1e9);
    const uint64_t measure = begin + static_cast<uint64_t>(options.warmup_s * 1e9);
    double srtt = 20e6;
    for (uint64_t now = begin; now < end; now = now_ns()) {
        if (window.open() && now >= next_send) {
            const Datagram d{window.next, now, 0};
            std::memcpy(packet.data(), &d, sizeof(d));
            if (::send(fd->get(), packet.data(), packet.size(), 0) >= 0)
                window.next++;
            next_send = std::max(next_send, now - 1'000'000) + static_cast<uint64_t>(srtt / window.size());
        }
        const uint64_t wait = !window.open() ? 1'000'000 : next_send > now ? next_send - now : 0;
        const timespec timeout{0, static_cast<long>(std::min<uint64_t>(wait, 1'000'000))};
        pollfd readable{fd->get(), POLLIN, 0};
        ppoll(&readable, 1, &timeout, nullptr);
        for (Datagram d{}; recv(fd->get(), &d, sizeof(d), 0) == sizeof(d);) {
            last_ack = now_ns();
            window.ack(d);
            const uint64_t rtt = last_ack - d.sent_ns;
            srtt += 0.125 * (static_cast<double>(rtt) - srtt);
            if (last_ack < measure)
                continue;
            measured++;
            rtts.push_back(rtt);
        }
        if (window.next > window.acked && now > last_ack + longest_silence_ns) {
            window.timeout();
            last_ack = now;
        }
    }
    const double seconds = options.seconds - options.warmup_s;
    const nlohmann::json report = {
        {"sent", window.next},
        {"acked", window.acked - window.lost},
        {"lost", window.lost},
        {"marked", window.marked},
        {"payload_mbit", static_cast<double>(measured * packet.size()) * 8e-6 / seconds},
        {"rtt_ms", percentiles_ms(rtts)}};
    std::puts(report.dump().c_str());
    return {};
}

} // namespace

} // namespace lab

int main(int argc, char **argv) {
    CLI::App app{"l4s_flow: a UDP flow that sends ECT(1) and answers CE in proportion"};
    lab::Options o;
    auto *receive = app.add_subcommand("receive", "tell the sender of each datagram whether it came with CE");
    auto *send = app.add_subcommand("send", "as much as the network takes without queueing; JSON at the end");
    for (auto *sub : {receive, send})
        sub->add_option("--port", o.port)->capture_default_str();
    send->add_option("--to", o.to, "numeric address")->required();
    send->add_option("--source-port", o.source_port, "0 = any");
    send->add_option("--payload", o.payload, "bytes of a datagram")->capture_default_str();
    send->add_option("--seconds", o.seconds)->capture_default_str();
    send->add_option("--warmup", o.warmup_s, "seconds that the rate and the round trips leave out")
        ->capture_default_str();
    app.require_subcommand(1);
    CLI11_PARSE(app, argc, argv);
    prctl(PR_SET_TIMERSLACK, 1);
    const auto done = *receive ? lab::receive(o) : lab::send(o);
    if (!done)
        std::fprintf(stderr, "l4s_flow: %s\n", sluice::to_string(done.error()).c_str());
    return done ? 0 : 1;
}
