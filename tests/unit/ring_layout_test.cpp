// Fields of kernel structures found by name in type information that the test writes itself: nested, in
// unions without a name, behind typedefs, missing, of another width, in a bit field.
#include "dataplane/ring_layout.hpp"

#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <memory>

namespace sluice {
namespace {

struct BtfDeleter {
    void operator()(btf *b) const { btf__free(b); }
};

// The igb reader's structures, as a driver might have them.
class IgbTypes {
  public:
    struct Shape {
        const char *clean = "next_to_clean";
        uint32_t clean_bytes = 2;
        bool clean_is_bits = false;
        bool in_union = false;
    };
    explicit IgbTypes(const Shape &shape) : types(btf__new_empty()) {
        btf *b = types.get();
        const int u32 = btf__add_int(b, "unsigned int", 4, 0), u16 = btf__add_int(b, "unsigned short", 2, 0);
        const int alias = btf__add_typedef(b, "u16", u16), counter = btf__add_const(b, alias);
        const int pointer = btf__add_ptr(b, 0);
        const int array = btf__add_array(b, u32, pointer, 16);
        btf__add_struct(b, "net_device", 2304);
        btf__add_field(b, "real_num_rx_queues", u32, 8 * 900, 0);
        btf__add_struct(b, "igb_adapter", 1024);
        btf__add_field(b, "num_tx_queues", u32, 8 * 100, 0);
        btf__add_field(b, "tx_ring", array, 8 * 104, 0);
        int nest = 0;
        if (shape.in_union) { // struct { u32; union { void *; struct { u16 count; } } }
            const int inner = btf__add_struct(b, nullptr, 4);
            btf__add_field(b, "spare", u16, 0, 0);
            btf__add_field(b, "count", counter, 16, 0);
            nest = btf__add_union(b, nullptr, 8);
            btf__add_field(b, "pointer", pointer, 0, 0);
            btf__add_field(b, nullptr, inner, 0, 0);
        }
        btf__add_struct(b, "igb_ring", 64);
        if (nest)
            btf__add_field(b, nullptr, nest, 8 * 8, 0);
        else
            btf__add_field(b, "count", counter, 8 * 40, 0);
        btf__add_field(b, "next_to_use", u16, 8 * 44, 0);
        btf__add_field(b, shape.clean, shape.clean_bytes == 2 ? u16 : u32, 8 * 48,
                       shape.clean_is_bits ? 9 : 0);
    }
    Result<> add(RingLayout &layout) {
        const btf *all[] = {types.get()};
        return add_driver(layout, *ring_driver(SLUICE_READER_IGB), all);
    }

  private:
    std::unique_ptr<btf, BtfDeleter> types;
};

TEST(RingLayout, OffsetsOfPlainFields) {
    RingLayout layout;
    const auto added = IgbTypes({}).add(layout);
    ASSERT_TRUE(added) << to_string(added.error());
    EXPECT_EQ(layout.readers, 1u << SLUICE_READER_IGB);
    EXPECT_EQ(layout.offset[SLUICE_FIELD_NET_DEVICE], 2304u) << "a size, not an offset";
    EXPECT_EQ(layout.offset[SLUICE_FIELD_NET_DEVICE_RX_QUEUES], 900u);
    EXPECT_EQ(layout.offset[SLUICE_FIELD_IGB_QUEUES], 100u);
    EXPECT_EQ(layout.offset[SLUICE_FIELD_IGB_RINGS], 104u);
    EXPECT_EQ(layout.offset[SLUICE_FIELD_IGB_COUNT], 40u) << "through a typedef and a const";
    EXPECT_EQ(layout.offset[SLUICE_FIELD_IGB_CLEAN], 48u);
}

TEST(RingLayout, MemberOfAStructureWithoutAName) {
    RingLayout layout;
    ASSERT_TRUE(IgbTypes({.in_union = true}).add(layout));
    EXPECT_EQ(layout.offset[SLUICE_FIELD_IGB_COUNT], 8u + 2);
}

void expect_refused(const IgbTypes::Shape &shape, const std::string &why) {
    RingLayout layout;
    const auto added = IgbTypes(shape).add(layout);
    ASSERT_FALSE(added);
    EXPECT_NE(added.error().what.find(why), std::string::npos) << added.error().what;
    EXPECT_EQ(layout.readers, 0u);
    EXPECT_EQ(layout.offset, RingLayout().offset) << "nothing half done";
}

TEST(RingLayout, AVanishedFieldIsNamed) {
    expect_refused({.clean = "next_to_reap"},
                   "ring reader for igb: struct igb_ring.next_to_clean is not there");
}
TEST(RingLayout, AnotherWidthIsRefused) {
    expect_refused({.clean_bytes = 4}, "struct igb_ring.next_to_clean has 4 bytes, not 2");
}
TEST(RingLayout, ABitFieldIsRefused) {
    expect_refused({.clean_bytes = 4, .clean_is_bits = true}, "next_to_clean is not there");
}

TEST(RingLayout, RowsAreFoundByDriver) {
    EXPECT_EQ(ring_driver("mlx5_core")->reader, SLUICE_READER_MLX5);
    EXPECT_EQ(ring_driver("ice")->trust, SLUICE_TRUST_LOW);
    EXPECT_EQ(ring_driver("tun")->trust, SLUICE_TRUST_EXACT);
    EXPECT_EQ(ring_driver("dummy"), nullptr);
}

} // namespace
} // namespace sluice
