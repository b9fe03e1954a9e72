// Sends 802.3x PAUSE frames out of one interface. Needs CAP_NET_RAW.
#pragma once

#include <cstdint>

#include "core/fd.hpp"
#include "core/result.hpp"
#include "dataplane/netdev.hpp"

namespace sluice {

class PauseSender {
  public:
    static Result<PauseSender> open(const Netdev &dev);
    // Tells the neighbour to be silent for so many quanta of 512 bit times; 0 = go on.
    Result<> send(uint16_t quanta);

  private:
    PauseSender(Fd socket, Netdev dev) : socket_(std::move(socket)), dev_(std::move(dev)) {}

    Fd socket_;
    Netdev dev_;
};

} // namespace sluice
