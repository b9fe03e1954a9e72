// sluicectl drops: what the daemon remembers of sampled verdicts, as lines, JSON or a capture file.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <thread>

#include "api/json.hpp"
#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/drop_format.hpp"
#include "cli/pcapng.hpp"
#include "cli/report_error.hpp"

namespace sluice {
namespace {

constexpr std::chrono::milliseconds kFollow{200};

// Where records go, in the form that was asked for.
class Sink {
  public:
    virtual ~Sink() = default;
    virtual void record(const DropRecord &record) = 0;
    virtual void missed(uint64_t) {}
    virtual bool end() { return true; } // after each answer of the daemon; false: cannot be written
};

class LineSink : public Sink {
  public:
    explicit LineSink(const Context &context) : context_(context) {}
    void record(const DropRecord &r) override {
        context_.out << (context_.format == OutputFormat::json ? to_json_line(r) : format_drop(r));
    }
    void missed(uint64_t n) override {
        context_.err << "sluicectl: " << n << " events were overwritten before they could be read\n";
    }
    bool end() override { return static_cast<bool>(context_.out.flush()); }

  private:
    const Context &context_;
};

class CaptureSink : public Sink {
  public:
    explicit CaptureSink(std::ostream &out) : out_(out) { out_ << writer_.begin(); }
    void record(const DropRecord &r) override { out_ << writer_.packet(r); }
    bool end() override { return static_cast<bool>(out_.flush()); }

  private:
    PcapngWriter writer_;
    std::ostream &out_;
};

Result<DropPage> ask(const Context &context, uint64_t since, uint64_t limit) {
    const auto answer =
        Client(context.control_socket)
            .get("/api/v1/drops?since=" + std::to_string(since) + "&limit=" + std::to_string(limit));
    if (!answer)
        return tl::unexpected(answer.error());
    if (answer->status != 200)
        return fail("sluiced answered with HTTP status " + std::to_string(answer->status));
    return drop_page_from_json(answer->body);
}

bool wanted(const DropRecord &record, const DropOptions &options) {
    return options.reasons.empty() ||
           std::ranges::find(options.reasons, record.reason) != options.reasons.end();
}

// Every record from `since` on that is wanted, up to the options' count. `since` and `count` go on.
Result<> copy_page(const Context &context, const DropOptions &options, Sink &sink, uint64_t &since,
                   uint64_t &count, bool &more) {
    constexpr uint64_t page_size = 500;
    const auto page = ask(context, since, page_size);
    if (!page)
        return tl::unexpected(page.error());
    if (page->missed)
        sink.missed(page->missed);
    for (const auto &record : page->events) {
        if (options.count && count >= options.count)
            break;
        if (wanted(record, options)) {
            sink.record(record);
            count++;
        }
    }
    more = page->events.size() == page_size;
    since = page->next;
    if (!sink.end())
        return fail("write the output", "is the disk full, or the reader gone?");
    return {};
}

// Where --follow begins: at what happens from now on.
Result<uint64_t> newest(const Context &context) {
    constexpr uint64_t beyond_all = UINT64_MAX;
    return ask(context, beyond_all, 0).map([](const DropPage &page) { return page.next; });
}

Result<> run(const Context &context, const DropOptions &options, Sink &sink) {
    uint64_t since = 0, count = 0;
    if (options.follow) {
        const auto start = newest(context);
        if (!start)
            return tl::unexpected(start.error());
        since = *start;
    }
    for (;;) {
        bool more = false;
        if (auto r = copy_page(context, options, sink, since, count, more); !r)
            return r;
        if ((options.count && count >= options.count) || (!more && !options.follow))
            return {};
        if (!more)
            std::this_thread::sleep_for(kFollow);
    }
}

} // namespace

ExitCode run_drops(const Context &context, const DropOptions &options) {
    std::ofstream file;
    std::unique_ptr<Sink> sink;
    if (options.pcap.empty()) {
        sink = std::make_unique<LineSink>(context);
    } else if (options.pcap == "-") {
        sink = std::make_unique<CaptureSink>(context.out);
    } else {
        file.open(options.pcap, std::ios::binary | std::ios::trunc);
        if (!file)
            return report_error(context, {"write " + options.pcap + ": " + std::strerror(errno), {}});
        sink = std::make_unique<CaptureSink>(file);
    }
    const auto done = run(context, options, *sink);
    return done ? ExitCode::ok : report_error(context, done.error());
}

} // namespace sluice
