#include "link.hpp"

#include <algorithm>
#include <cstring>
#include <unistd.h>
#include <utility>

namespace lab {

namespace {

constexpr int deliveries_per_step = 8; // then look at the pacing deadline again
constexpr uint64_t outage_poll_ns = 1'000'000;

uint64_t later(uint64_t at, uint64_t by) {
    return at == never_ns ? never_ns : at + by;
}

} // namespace

Link::Link(std::vector<Fd> slow, Fd sink, RateSchedule schedule, LinkParameters parameters, Stamps stamps)
    : slow_(std::move(slow)), sink_(std::move(sink)), schedule_(std::move(schedule)), parameters_(parameters),
      stamps_(std::move(stamps)) {
    recorder_.totals.queue_frames.resize(slow_.size());
}

uint64_t Link::step(uint64_t now) {
    while (free_ns_ <= now && pull(now))
        now = now_ns();
    deliver(now);
    uint64_t next = forward_.due_ns();
    if (schedule_.rate(now) == 0)
        next = std::min(next, now + outage_poll_ns);
    else if (!starved_)
        next = std::min(next, free_ns_);
    return next;
}

bool Link::pull(uint64_t now) {
    if (schedule_.rate(now) == 0)
        return false;
    auto frame = read_next();
    const bool was_starved = std::exchange(starved_, !frame);
    if (frame)
        serialise(std::move(frame), was_starved, now);
    return !starved_;
}

std::unique_ptr<Frame> Link::read_next() {
    auto frame = pool_.take();
    for (size_t i = 0; i < slow_.size(); i++) {
        const size_t queue = next_queue_;
        next_queue_ = (next_queue_ + 1) % slow_.size();
        const ssize_t n = read(slow_[queue].get(), frame->bytes.data(), Frame::capacity);
        if (n <= 0)
            continue;
        frame->length = static_cast<size_t>(n);
        recorder_.totals.queue_frames[queue]++;
        return frame;
    }
    pool_.give(std::move(frame));
    return nullptr;
}

void Link::serialise(std::unique_ptr<Frame> frame, bool was_starved, uint64_t now) {
    Totals &totals = recorder_.totals;
    if (frame->length < FRAME_KEY_BYTES)
        std::memset(frame->bytes.data() + frame->length, 0, FRAME_KEY_BYTES - frame->length);
    const frame_identity id = frame_identify(frame->bytes.data());
    const auto sent = stamps_.sent_ns(frame_key(&id, 0, 0));
    uint64_t start = was_starved ? std::max(free_ns_, now - parameters_.wake_credit_ns) : free_ns_;
    if (sent)
        start = std::max(start, *sent); // a frame cannot be on the wire before it was sent
    const uint64_t late = now > start ? now - start : 0;
    (was_starved ? totals.credit_ns : totals.late_sum_ns) += late;
    if (!was_starved)
        totals.late_max_ns = std::max(totals.late_max_ns, late);

    const auto wire = std::max(static_cast<unsigned>(frame->length) + parameters_.overhead, parameters_.mpu);
    service_start_ns_ = start;
    service_bytes_ = wire;
    free_ns_ = schedule_.finish(start, wire);
    totals.forward.received++;
    totals.forward.bytes += frame->length;
    if (of_source(*frame)) {
        totals.of_source++;
        totals.unmatched += sent ? 0 : 1;
    }
    recorder_.served(id, wire, start, sent ? start - *sent : never_ns);
    frame->due_ns = later(free_ns_, parameters_.propagation_ns);
    forward_.push(std::move(frame));
}

bool Link::of_source(const Frame &frame) const {
    const uint8_t *p = frame.bytes.data();
    const std::array<uint8_t, 6> no_mac{};
    if (parameters_.source_mac != no_mac && std::equal(p + 6, p + 12, parameters_.source_mac.begin()))
        return true;
    const uint16_t type = frame_be16(p + 12);
    const auto &source = parameters_.source;
    return (type == 0x0800 && std::equal(p + 26, p + 30, source.ipv4.begin())) ||
           (type == 0x86dd && std::equal(p + 22, p + 38, source.ipv6.begin()));
}

void Link::deliver(uint64_t now) {
    for (int i = 0; i < deliveries_per_step && forward_.due_ns() <= now; i++) {
        auto frame = forward_.pop();
        const ssize_t n = write(sink_.get(), frame->bytes.data(), frame->length);
        (n < 0 ? recorder_.totals.forward.write_errors : recorder_.totals.forward.forwarded)++;
        pool_.give(std::move(frame));
    }
}

void Link::go(uint64_t now) {
    schedule_.start(now);
    rate_changed(now);
    recorder_.go_ns = now;
}

void Link::set_rate(uint64_t now, double bytes_per_s) {
    schedule_.set(now, bytes_per_s);
    rate_changed(now);
}

void Link::pause(uint64_t now) {
    schedule_.pause(now);
    rate_changed(now);
}

void Link::resume(uint64_t now) {
    schedule_.resume(now);
    rate_changed(now);
}

// The frame in service has already a place in the delay line; its time is only known under the new rate.
void Link::rate_changed(uint64_t now) {
    if (free_ns_ <= now)
        return;
    free_ns_ = schedule_.finish(service_start_ns_, service_bytes_);
    if (Frame *in_service = forward_.newest())
        in_service->due_ns = later(free_ns_, parameters_.propagation_ns);
}

} // namespace lab
