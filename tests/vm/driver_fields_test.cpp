// The fields that the ring readers walk, in the drivers of real kernels: Debian's packages, unpacked by
// kernels.py. Fails when a driver loses or changes one. Nothing is loaded, no hardware is needed.
#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>

#include "dataplane/ring_layout.hpp"

namespace sluice {
namespace {

struct BtfDeleter {
    void operator()(btf *b) const { btf__free(b); }
};
using Btf = std::unique_ptr<btf, BtfDeleter>;

std::filesystem::path kernels() {
    const char *folder = std::getenv("SLUICE_KERNELS");
    return folder ? folder : "";
}

// Types of a kernel and of some of its modules. A module that is built in has none of its own.
struct KernelTypes {
    KernelTypes(const std::string &series, std::string_view modules) {
        const auto folder = kernels() / series;
        owned.emplace_back(btf__parse((folder / "btf/vmlinux").c_str(), nullptr));
        if (!owned[0])
            return;
        std::istringstream names{std::string(modules)};
        for (std::string name; names >> name;)
            if (const auto file = folder / "modules" / (name + ".ko"); exists(file))
                owned.emplace_back(btf__parse_split(file.c_str(), owned[0].get()));
        for (const auto &b : owned)
            all.push_back(b.get());
    }
    ~KernelTypes() { // split types before their base
        while (!owned.empty())
            owned.pop_back();
    }
    std::vector<Btf> owned;
    std::vector<const btf *> all;
};

struct Case {
    const char *series;
    RingDriver driver;
};
std::vector<Case> cases() {
    std::vector<Case> out;
    for (const char *series : {"6.1", "6.12"})
        for (const RingDriver &driver : ring_drivers())
            out.push_back({series, driver});
    return out;
}

class DriverFields : public testing::TestWithParam<Case> {};

TEST_P(DriverFields, AreAllThere) {
    const auto &[series, driver] = GetParam();
    ASSERT_TRUE(exists(kernels() / series / "package"))
        << "SLUICE_KERNELS must name a folder that tests/vm/kernels.py made";
    const KernelTypes types(series, driver.modules);
    ASSERT_FALSE(types.all.empty());
    for (const btf *b : types.all)
        ASSERT_NE(b, nullptr) << "no type information in the kernel or in a module of " << driver.modules;
    RingLayout layout;
    const auto added = add_driver(layout, driver, types.all);
    ASSERT_TRUE(added) << to_string(added.error());
    EXPECT_EQ(layout.readers, 1u << driver.reader);
    EXPECT_GT(layout.offset[SLUICE_FIELD_NET_DEVICE], 1000u) << "size of struct net_device";
}

INSTANTIATE_TEST_SUITE_P(Kernels, DriverFields, testing::ValuesIn(cases()), [](const auto &c) {
    std::string name = std::string("Linux_") + c.param.series + "_" + std::string(c.param.driver.driver);
    std::replace(name.begin(), name.end(), '.', '_');
    return name;
});

// The type information must be the driver's own: against the kernel alone, no hardware driver has its fields.
TEST(DriverFieldsTest, FailsWithoutTheModule) {
    for (const char *series : {"6.1", "6.12"}) {
        const KernelTypes kernel(series, "");
        for (const sluice_reader reader : {SLUICE_READER_IXGBE, SLUICE_READER_ICE, SLUICE_READER_MLX5}) {
            RingLayout layout;
            const auto added = add_driver(layout, *ring_driver(reader), kernel.all);
            ASSERT_FALSE(added);
            EXPECT_NE(added.error().what.find("is not there"), std::string::npos) << added.error().what;
            EXPECT_EQ(layout.readers, 0u);
        }
    }
}

} // namespace
} // namespace sluice
