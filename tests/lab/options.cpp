#include "options.hpp"

#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>

#include <CLI/CLI.hpp>

namespace lab {

namespace {

std::pair<double, double> parse_window(const std::string &text) {
    double from = 0, to = 0;
    if (std::sscanf(text.c_str(), "%lf:%lf", &from, &to) != 2 || from >= to)
        throw CLI::ValidationError("--window", "'" + text + "' is not FROM:TO in seconds");
    return {from, to};
}

void parse_address(int family, const std::string &text, void *out) {
    if (!text.empty() && inet_pton(family, text.c_str(), out) != 1)
        throw CLI::ValidationError("--source-ip", "'" + text + "' is not an address");
}

void describe(CLI::App &app, Options &o) {
    app.add_option("--tap", o.tap, "TAP that is the slow port")->capture_default_str();
    app.add_option("--tap-netns", o.tap_netns, "its network namespace, as a path; default: here");
    app.add_option("--sink-tap", o.sink_tap, "TAP at the far end")->capture_default_str();
    app.add_option("--sink-netns", o.sink_netns, "its network namespace, as a path; default: here");
    app.add_option("--queues", o.queues, "queues of the slow TAP; they share the rate")
        ->check(CLI::Range(1, 64));
    app.add_option("--rate", o.rate, "rate on the wire, e.g. 50mbit")->capture_default_str();
    app.add_option("--schedule", o.schedule, "later rates, seconds after `go`: 10s:25mbit,20s:50mbit");
    app.add_option("--trace", o.trace_file, "file with one `seconds:rate` per line")
        ->check(CLI::ExistingFile);
    app.add_option("--delay-ms", o.delay_ms, "propagation delay each way")->capture_default_str();
    app.add_option("--overhead", o.overhead, "framing bytes per frame")->capture_default_str();
    app.add_option("--mpu", o.mpu, "smallest frame on the wire")->capture_default_str();
    app.add_option("--wake-credit-us", o.wake_credit_us,
                   "how much of its own wake-up latency an idle link may make good")
        ->capture_default_str();
    app.add_option("--slack-us", o.slack_us,
                   "serve deadlines this much late, so that close ones share a timer")
        ->capture_default_str();
    app.add_flag("--busy-poll", o.busy_poll, "never sleep");
    app.add_flag("--realtime,!--no-realtime", o.realtime, "run with SCHED_FIFO");
    app.add_option("--source-netns", o.source.netns,
                   "stamp frames at the egress of a device in this namespace");
    app.add_option("--source-device", o.source.device, "that device");
    app.add_option("--source-mac", o.source_mac, "MAC address of the source, for bridged frames");
    app.add_option("--control", o.control_socket,
                   "unix socket for commands: go, stats, rate X, pause, resume");
    app.add_option("--json", o.json_file, "report written at SIGTERM");
}

} // namespace

Options parse_options(int argc, char **argv) {
    CLI::App app{
        "slowlink: emulates a slow link behind a TAP device and measures the queueing of each frame"};
    Options o;
    std::vector<std::string> windows;
    std::string ipv4, ipv6;
    describe(app, o);
    app.add_option("--source-ip", ipv4, "IPv4 address of the source");
    app.add_option("--source-ip6", ipv6, "IPv6 address of the source");
    app.add_option("--window", windows, "FROM:TO seconds after `go`; statistics for each");
    try {
        app.parse(argc, argv);
        for (const auto &text : windows)
            o.windows.push_back(parse_window(text));
        parse_address(AF_INET, ipv4, o.source.ipv4.data());
        parse_address(AF_INET6, ipv6, o.source.ipv6.data());
    } catch (const CLI::ParseError &e) {
        std::exit(app.exit(e));
    }
    return o;
}

} // namespace lab
