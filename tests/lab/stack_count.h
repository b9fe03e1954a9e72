// What the lab's tc program at the slow TAP counts: frames sent by the router's stack, not by XDP redirect.
#pragma once

#include <linux/types.h>

struct stack_count {
    __u64 frames;
    __u64 frames_of_source; // of these, with the source host's IP address: forwarded, not originated
};
