#include "api/connections.hpp"

#include <sys/socket.h>

namespace sluice {

Connections::Handle Connections::opened(int fd, std::shared_ptr<const WebState> web) {
    std::lock_guard lock(mutex_);
    if (open_ >= most_)
        evict_oldest();
    open_++;
    return entries_.insert(entries_.end(), Entry{fd, false, std::move(web)});
}

void Connections::used(Handle handle) {
    std::lock_guard lock(mutex_);
    if (!handle->evicted)
        entries_.splice(entries_.end(), entries_, handle);
}

void Connections::closed(Handle handle) {
    std::lock_guard lock(mutex_);
    open_ -= !handle->evicted;
    entries_.erase(handle);
}

// The thread that serves the connection sees its end, and closes it.
void Connections::evict_oldest() {
    for (auto &entry : entries_) {
        if (entry.evicted)
            continue;
        entry.evicted = true;
        open_--;
        shutdown(entry.fd, SHUT_RDWR);
        return;
    }
}

} // namespace sluice
