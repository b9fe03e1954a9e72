// Which XDP program an interface has, asked from the kernel: for messages, and for the mode of a link that an
// earlier daemon attached.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

// "native", "generic", or "" where none is attached.
const char *xdp_mode(uint32_t ifindex);

// Remembers how the programs of all interfaces are described, for a process that is about to give up rights.
// Not beside other threads.
void note_xdp_programs();

// `program "xdp_pass" (id 12, native mode, by link 3)`; "" where none is attached. Names and links need
// CAP_SYS_ADMIN: without it, and of a program that note_xdp_programs() has not seen, they are left out.
std::string describe_xdp(uint32_t ifindex);

} // namespace sluice
