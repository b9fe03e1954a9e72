// Outcomes of the plain redirect program, counted per CPU; shared with its loader.
#pragma once

enum plain_outcome {
    PLAIN_REDIRECT,   // handed to the devmap; whether the ring took it is not known
    PLAIN_PASS_FIB,   // no route, no neighbour, to this host, or to a port that is not in the devmap
    PLAIN_PASS_OTHER, // not IP, TTL too low, IP options
    PLAIN_POLICED,    // beyond the bucket
    PLAIN_OUTCOMES
};
