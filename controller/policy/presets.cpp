// Sets of classes with CAKE's names: the tins of tc-cake(8), their code points and their bandwidth-sharing
// weights. What CAKE calls a threshold is the share by weight here; a tin that stays below it is not delayed
// either way.
#include <initializer_list>

#include "policy/names.hpp"
#include "policy/sections.hpp"

namespace sluice {
namespace {

struct Tin {
    const char *name;
    uint32_t weight;
    std::initializer_list<uint8_t> dscp; // none: the rest
};

// clang-format off
enum : uint8_t { LE = 1, TOS2 = 2, TOS4 = 4, CS1 = 8, AF11 = 10, AF12 = 12, AF13 = 14, CS2 = 16, AF21 = 18, AF22 = 20,
                 AF23 = 22, CS3 = 24, AF31 = 26, AF32 = 28, AF33 = 30, CS4 = 32, AF41 = 34, AF42 = 36, AF43 = 38,
                 CS5 = 40, VA = 44, EF = 46, CS6 = 48, CS7 = 56 };

const std::initializer_list<Tin> kPresets[] = {
    {{"default", 1, {}}},
    {{"voice", 4, {CS7, CS6, EF, VA, TOS4}},
     {"bulk", 1, {CS1, LE}},
     {"default", 16, {}}},
    {{"voice", 4, {CS7, CS6, EF, VA, CS5, CS4}},
     {"video", 8, {AF41, AF42, AF43, AF31, AF32, AF33, CS3, AF21, AF22, AF23, CS2, TOS4}},
     {"bulk", 1, {CS1, LE}},
     {"default", 16, {}}},
    // each tin up has 7/8 of the share of the one below
    {{"network-control", 101, {CS6, CS7}},
     {"low-latency", 115, {EF, VA, CS5, CS4}},
     {"interactive", 131, {CS2}},
     {"transactions", 150, {AF21, AF22, AF23, TOS4}},
     {"video", 172, {AF41, AF42, AF43, AF31, AF32, AF33, CS3}},
     {"throughput", 224, {AF11, AF12, AF13, TOS2}},
     {"background", 256, {CS1, LE}},
     {"default", 196, {}}},
};
// clang-format on

} // namespace

std::vector<TrafficClass> preset_classes(size_t preset) {
    std::vector<TrafficClass> classes;
    for (const Tin &tin : kPresets[preset]) {
        TrafficClass c;
        c.name = tin.name;
        c.weight = tin.weight;
        if (tin.dscp.size()) {
            c.match.emplace_back();
            c.match.back().dscp = tin.dscp;
        }
        classes.push_back(std::move(c));
    }
    return classes;
}

} // namespace sluice
