// Explains sampled verdicts and keeps the last of them: names instead of indices, as the policy that was in
// force when the event was taken out of the queue says.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <stop_token>

#include "policy/compile.hpp"
#include "telemetry/drop_record.hpp"
#include "telemetry/event_reader.hpp"

namespace sluice {

// Words for the numbers of an event. Class ids of two generations never overlap, so a late event of the
// generation before still finds its names.
class DropNames {
  public:
    // `class_base`: of the generation that `policy` has become.
    void use(const CompiledPolicy &policy, uint32_t class_base);
    // `offset_s`: wall clock minus CLOCK_MONOTONIC.
    DropRecord explain(const sluice_event &event, double offset_s) const;

  private:
    void name_class(DropRecord &record, uint32_t class_id) const;

    // The class ids of one transition: tenant * classes + class, from the first on.
    struct Range {
        uint32_t count = 0;
        std::vector<std::string> tenants;                 // empty without tenants
        std::vector<std::pair<std::string, int>> classes; // name, line
        std::string policy_file;
    };
    std::map<uint32_t, Range> ranges_; // by first class id
    std::vector<std::string> ports_;
};

// The last `capacity` records.
class DropStore {
  public:
    explicit DropStore(size_t capacity) : capacity_(capacity) {}
    void push(DropRecord record); // gives it its sequence number
    DropPage page(uint64_t since, size_t limit) const;

  private:
    size_t capacity_;
    uint64_t next_ = 1;
    std::deque<DropRecord> records_;
};

// The consumer of the event queue. Any thread may call anything.
class Drops {
  public:
    static constexpr size_t kKept = 4096;

    explicit Drops(EventReader &events) : events_(events), store_(kKept) {}

    void use(const CompiledPolicy &policy, uint32_t class_base);
    DropPage page(uint64_t since, size_t limit);
    // Empties the queue a few times a second until `stop`, so that the newest records are kept, not the
    // oldest.
    void run(const std::stop_token &stop);

  private:
    void collect();

    EventReader &events_;
    std::mutex mutex_;
    std::condition_variable_any stopped_;
    DropNames names_;
    DropStore store_;
};

} // namespace sluice
