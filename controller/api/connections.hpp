// The open connections of one listener, in the order of their last request. When there are too many, the one
// that has been silent for longest is shut down: whoever opens connections and says nothing closes their own,
// and a client with a request always finds room. Thread-safe.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

namespace sluice {

struct WebState;

class Connections {
  public:
    struct Entry {
        int fd = -1;
        bool evicted = false;
        std::shared_ptr<const WebState> web; // keeps the TLS credentials of the session alive
    };
    using Handle = std::list<Entry>::iterator;

    // Above `most` open connections the oldest is evicted.
    explicit Connections(size_t most) : most_(most) {}

    Handle opened(int fd, std::shared_ptr<const WebState> web);
    void used(Handle handle);   // a request arrived on it
    void closed(Handle handle); // before the descriptor is closed

  private:
    void evict_oldest();

    const size_t most_;
    std::mutex mutex_;
    std::list<Entry> entries_; // longest silent first
    size_t open_ = 0;          // entries that are not evicted
};

} // namespace sluice
