// Ring readers over structures that the test builds: which ring a CPU feeds, and how full it is, for every
// driver and at every edge of its counters. The fields lie at offsets that no kernel has, so a reader that
// assumes one fails.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

namespace {

std::array<uint32_t, 256> layout; // larger than the table

uint64_t peek(uint64_t address, unsigned bytes) {
    uint64_t value = 0;
    if (address >= 4096) // a null pointer reads as 0, as in the programs
        std::memcpy(&value, reinterpret_cast<const void *>(address), bytes);
    return value;
}

} // namespace

#define SLUICE_PEEK(address, bytes) ::peek(address, bytes)
#define SLUICE_LAYOUT(field) ::layout[field]
#include <sluice/rings/drivers.h>

namespace {

static_assert(SLUICE_FIELDS < 256);
constexpr uint32_t kStructBytes = 8192, kNetDevice = 1000, kCpus = 8;

constexpr std::array<uint32_t, SLUICE_FIELDS> kBytes{
#define BYTES(owner, name, type, path, bytes) bytes,
    SLUICE_RING_FIELDS(BYTES, BYTES)
#undef BYTES
};

const std::array<std::string, SLUICE_READERS> kNames{"none",
#define NAME(id, function, driver, modules, trust) #function,
                                                     SLUICE_RING_DRIVERS(NAME)
#undef NAME
};

// Kernel memory of one test.
class Memory {
  public:
    Memory() {
        for (uint32_t i = 0; i < SLUICE_FIELDS; i++)
            layout[i] = 16 + 24 * i; // fields of all structures apart from each other
        layout[SLUICE_FIELD_NET_DEVICE] = kNetDevice;
        layout[SLUICE_FIELD_VETH_RQ] = 4000;
        layout[SLUICE_FIELD_VIRTIO_SQ] = 3000;
        layout[SLUICE_FIELD_IXGBE_ADAPTER] = SLUICE_NO_FIELD;
        layout[SLUICE_FIELD_MLX5_SQ_POINTER] = SLUICE_NO_FIELD;
    }
    uint64_t make(size_t bytes = kStructBytes) {
        blocks_.emplace_back(bytes / 8, 0);
        return reinterpret_cast<uint64_t>(blocks_.back().data());
    }
    // A net_device and the private data behind it.
    uint64_t device() {
        dev = make(4 * kStructBytes);
        return dev + 1024; // 1000 rounded up to 32
    }
    void put(uint64_t base, sluice_field field, uint64_t value) {
        ASSERT_NE(kBytes[field], 0u);
        std::memcpy(reinterpret_cast<void *>(base + layout[field]), &value, kBytes[field]);
    }
    // Element of an array of pointers that lies in a structure or at an address of its own.
    void put_pointer(uint64_t array, uint32_t index, uint64_t value) {
        std::memcpy(reinterpret_cast<void *>(array + 8 * index), &value, 8);
    }
    sluice_ring_view look(sluice_reader reader, uint32_t cpu, uint32_t cpus = kCpus) {
        const sluice_ring_site site{dev, cpu, cpus};
        sluice_ring_view v{};
        readable = sluice_read_ring(reader, SLUICE_OWNER_ALL, &site, &v) == 0;
        return v;
    }
    uint64_t dev = 0;
    bool readable = false;

  private:
    std::deque<std::vector<uint64_t>> blocks_;
};

// ---- arithmetic ----

TEST(RingIndices, EmptyFullAndWrapped) {
    auto fill = [](uint32_t count, uint32_t use, uint32_t clean) {
        sluice_ring_view v{};
        sluice_ring_indices(&v, count, use, clean);
        return v;
    };
    EXPECT_EQ(fill(512, 0, 0).occupancy, 0u);
    EXPECT_EQ(fill(512, 511, 511).occupancy, 0u);
    EXPECT_EQ(fill(512, 10, 3).occupancy, 7u);
    EXPECT_EQ(fill(512, 3, 10).occupancy, 505u) << "wrapped";
    EXPECT_EQ(fill(512, 9, 10).occupancy, 511u) << "full: one slot stays free";
    EXPECT_EQ(fill(512, 0, 511).occupancy, 1u);
    EXPECT_EQ(fill(512, 512, 0).size, 0u) << "an index outside the ring is no reading";
    EXPECT_EQ(fill(512, 0, 600).size, 0u);
    EXPECT_EQ(fill(0, 0, 0).size, 0u) << "a ring that is being torn down";
    EXPECT_EQ(fill(80, 7, 3).producer, 7u);
    EXPECT_EQ(fill(80, 7, 3).modulus, 80u);
}

RC_GTEST_PROP(RingIndices, OccupancyIsWhatWentInMinusWhatWentOut, ()) {
    const auto count = *rc::gen::inRange<uint32_t>(2, 8161); // i40e's largest ring
    const auto out = *rc::gen::inRange<uint32_t>(0, 1'000'000);
    const auto in = out + *rc::gen::inRange<uint32_t>(0, count);
    sluice_ring_view v{};
    sluice_ring_indices(&v, count, in % count, out % count);
    RC_ASSERT(v.occupancy == in - out);
}

RC_GTEST_PROP(RingCounters, WrapAtSixteenBits, ()) {
    const auto size = 1u << *rc::gen::inRange(5, 14);
    const auto out = *rc::gen::arbitrary<uint32_t>();
    const auto waiting = *rc::gen::inRange<uint32_t>(0, size + 1);
    sluice_ring_view v{};
    sluice_ring_counters(&v, size, static_cast<uint16_t>(out + waiting), static_cast<uint16_t>(out));
    RC_ASSERT(v.occupancy == waiting);
    RC_ASSERT(v.modulus == 65536u);
    RC_ASSERT(v.producer == ((out + waiting) & 0xffff));
}

TEST(QueueOf, ByCpuThenModulo) {
    EXPECT_EQ(sluice_queue_of(3, 8), 3u);
    EXPECT_EQ(sluice_queue_of(8, 8), 0u);
    EXPECT_EQ(sluice_queue_of(13, 4), 1u);
    EXPECT_EQ(sluice_queue_of(5, 0), 0u) << "no queues: no division";
}

// ---- ptr_ring drivers ----

void put_ptr_ring(Memory &m, uint64_t ring, uint32_t size, uint32_t producer, uint32_t consumer) {
    m.put(ring, SLUICE_FIELD_PTR_RING_SIZE, size);
    m.put(ring, SLUICE_FIELD_PTR_RING_PRODUCER, producer);
    m.put(ring, SLUICE_FIELD_PTR_RING_CONSUMER, consumer);
    m.put(ring, SLUICE_FIELD_PTR_RING_QUEUE, m.make(8 * size));
}

TEST(TunRing, QueueOfTheCpu) {
    Memory m;
    const uint64_t tun = m.device();
    m.put(tun, SLUICE_FIELD_TUN_QUEUES, 3);
    for (uint32_t q = 0; q < 3; q++) {
        const uint64_t file = m.make();
        m.put_pointer(tun + layout[SLUICE_FIELD_TUN_FILES], q, file);
        put_ptr_ring(m, file + layout[SLUICE_FIELD_TUN_RING], 100, 50 + q, 40);
    }
    for (uint32_t cpu = 0; cpu < kCpus; cpu++) {
        const auto v = m.look(SLUICE_READER_TUN, cpu);
        EXPECT_TRUE(m.readable);
        EXPECT_EQ(v.index, cpu % 3);
        EXPECT_EQ(v.occupancy, 10 + cpu % 3);
        EXPECT_EQ(v.size, 100u);
    }
    m.put(tun, SLUICE_FIELD_TUN_QUEUES, 0); // the last reader has closed
    m.look(SLUICE_READER_TUN, 0);
    EXPECT_FALSE(m.readable);
}

TEST(TunRing, FullUntilTheConsumerClears) {
    Memory m;
    const uint64_t tun = m.device(), file = m.make();
    m.put(tun, SLUICE_FIELD_TUN_QUEUES, 1);
    m.put_pointer(tun + layout[SLUICE_FIELD_TUN_FILES], 0, file);
    const uint64_t ring = file + layout[SLUICE_FIELD_TUN_RING];
    put_ptr_ring(m, ring, 64, 20, 20);
    EXPECT_EQ(m.look(SLUICE_READER_TUN, 0).occupancy, 0u);
    const uint64_t queue = peek(ring + layout[SLUICE_FIELD_PTR_RING_QUEUE], 8);
    m.put_pointer(queue, 20, 0xbeef); // a frame that is just entering
    EXPECT_EQ(m.look(SLUICE_READER_TUN, 0).occupancy, 0u);
    m.put_pointer(queue, 20 + 32, 0xbeef);
    EXPECT_EQ(m.look(SLUICE_READER_TUN, 0).occupancy, 64u);
}

TEST(VethRing, RingOfThePeer) {
    Memory m;
    const uint64_t own = m.device(), device = m.dev;
    const uint64_t peer_priv = m.device(), peer = m.dev;
    m.dev = device;
    m.put(own, SLUICE_FIELD_VETH_PEER, peer);
    m.put(peer, SLUICE_FIELD_NET_DEVICE_RX_QUEUES, 2);
    const uint64_t queues = m.make(4 * kStructBytes);
    m.put(peer_priv, SLUICE_FIELD_VETH_QUEUES, queues);
    for (uint32_t q = 0; q < 2; q++)
        put_ptr_ring(m, queues + q * layout[SLUICE_FIELD_VETH_RQ] + layout[SLUICE_FIELD_VETH_RING], 256, 9,
                     q);
    EXPECT_EQ(m.look(SLUICE_READER_VETH, 0).occupancy, 9u);
    EXPECT_EQ(m.look(SLUICE_READER_VETH, 5).occupancy, 8u);
    EXPECT_EQ(m.look(SLUICE_READER_VETH, 5).index, 1u);
    m.put(own, SLUICE_FIELD_VETH_PEER, 0); // being deleted
    m.look(SLUICE_READER_VETH, 0);
    EXPECT_FALSE(m.readable);
}

// ---- virtio_net ----

struct Virtio {
    explicit Virtio(uint32_t pairs, uint32_t xdp_pairs) {
        info = m.device();
        queues = m.make(64 * kStructBytes);
        m.put(info, SLUICE_FIELD_VIRTIO_PAIRS, pairs);
        m.put(info, SLUICE_FIELD_VIRTIO_XDP_PAIRS, xdp_pairs);
        m.put(info, SLUICE_FIELD_VIRTIO_QUEUES, queues);
    }
    // Split ring `queue` with these indices; returns the vring_virtqueue.
    uint64_t split(uint32_t queue, uint16_t avail, uint16_t used) {
        const uint64_t ring = m.make(), used_ring = m.make();
        m.put(queues + queue * layout[SLUICE_FIELD_VIRTIO_SQ], SLUICE_FIELD_VIRTIO_SQ_VQ,
              ring + layout[SLUICE_FIELD_VRING_VQ]);
        m.put(ring, SLUICE_FIELD_VRING_NUM, 256);
        m.put(ring, SLUICE_FIELD_VRING_USED, used_ring);
        m.put(ring, SLUICE_FIELD_VRING_AVAIL_IDX, avail);
        m.put(used_ring, SLUICE_FIELD_VRING_USED_IDX, used);
        return ring;
    }
    Memory m;
    uint64_t info, queues;
};

TEST(VirtioRing, SharedQueuesAndWrap) {
    Virtio v(2, 0);
    v.split(0, 3, 65530);
    v.split(1, 700, 600);
    EXPECT_EQ(v.m.look(SLUICE_READER_VIRTIO, 2).occupancy, 9u) << "CPU 2 of 2 pairs: queue 0, wrapped";
    EXPECT_EQ(v.m.look(SLUICE_READER_VIRTIO, 1).occupancy, 100u);
    EXPECT_EQ(v.m.look(SLUICE_READER_VIRTIO, 1).index, 1u);
    EXPECT_EQ(v.m.look(SLUICE_READER_VIRTIO, 1).producer, 700u);
}

TEST(VirtioRing, AQueueOfItsOwnPerCpu) {
    Virtio v(2 * kCpus, kCpus); // the last half belongs to XDP
    v.split(kCpus + 3, 50, 20);
    EXPECT_EQ(v.m.look(SLUICE_READER_VIRTIO, 3).occupancy, 30u);
    EXPECT_EQ(v.m.look(SLUICE_READER_VIRTIO, 3).index, 3u);
}

TEST(VirtioRing, PackedCountsWhatIsReaped) {
    Virtio v(1, 0);
    const uint64_t ring = v.split(0, 0, 0), vq = ring + layout[SLUICE_FIELD_VRING_VQ];
    v.m.put(ring, SLUICE_FIELD_VRING_PACKED, 1);
    v.m.put(vq, SLUICE_FIELD_VQ_MAX, 256);
    v.m.put(vq, SLUICE_FIELD_VQ_FREE, 200);
    EXPECT_EQ(v.m.look(SLUICE_READER_VIRTIO, 0).occupancy, 56u);
    EXPECT_EQ(v.m.look(SLUICE_READER_VIRTIO, 0).modulus, 0u) << "no position of a frame";
}

// ---- Intel ----

struct IntelFields {
    sluice_reader reader;
    sluice_field queues, rings, count, use, clean;
    sluice_field vsi = SLUICE_FIELDS; // SLUICE_FIELDS: queues and rings lie in the private data itself
    bool rings_inline = true;         // an array in the structure, or a pointer to one
    bool modulo = true;               // CPUs beyond the last queue share; else they cannot send
};

void PrintTo(const IntelFields &f, std::ostream *out) {
    *out << kNames[f.reader];
}

class IntelRing : public testing::TestWithParam<IntelFields> {
  protected:
    void build(uint32_t queues) {
        const IntelFields &f = GetParam();
        uint64_t owner = m.device();
        if (f.vsi != SLUICE_FIELDS) {
            const uint64_t vsi = m.make();
            m.put(owner, f.vsi, vsi);
            owner = vsi;
        }
        holder = owner;
        m.put(owner, f.queues, queues);
        uint64_t array = owner + layout[f.rings];
        if (!f.rings_inline) {
            array = m.make();
            m.put(owner, f.rings, array);
        }
        for (uint32_t q = 0; q < queues; q++) {
            const uint64_t ring = m.make();
            m.put_pointer(array, q, ring);
            m.put(ring, f.count, 512);
            m.put(ring, f.use, 5);
            m.put(ring, f.clean, 500 + q);
        }
    }
    Memory m;
    uint64_t holder = 0;
};

TEST_P(IntelRing, RingOfTheCpu) {
    build(4);
    for (uint32_t cpu = 0; cpu < kCpus; cpu++) {
        const auto v = m.look(GetParam().reader, cpu);
        if (cpu >= 4 && !GetParam().modulo) {
            EXPECT_FALSE(m.readable) << "the driver refuses this CPU's frames";
            continue;
        }
        ASSERT_TRUE(m.readable) << "CPU " << cpu;
        EXPECT_EQ(v.index, cpu % 4);
        EXPECT_EQ(v.size, 512u);
        EXPECT_EQ(v.occupancy, 17 - cpu % 4);
        EXPECT_EQ(v.producer, 5u);
    }
}

TEST_P(IntelRing, NoRingsNoReading) {
    build(0); // no XDP program on the port, or the driver resets
    m.look(GetParam().reader, 0);
    EXPECT_FALSE(m.readable);
    build(2);
    if (GetParam().rings_inline)
        m.put_pointer(holder + layout[GetParam().rings], 1, 0);
    else
        m.put(holder, GetParam().rings, 0);
    m.look(GetParam().reader, 1);
    EXPECT_FALSE(m.readable);
}

INSTANTIATE_TEST_SUITE_P(
    Drivers, IntelRing,
    testing::Values(IntelFields{SLUICE_READER_IXGBE, SLUICE_FIELD_IXGBE_QUEUES, SLUICE_FIELD_IXGBE_RINGS,
                                SLUICE_FIELD_IXGBE_COUNT, SLUICE_FIELD_IXGBE_USE, SLUICE_FIELD_IXGBE_CLEAN},
                    IntelFields{SLUICE_READER_IGB, SLUICE_FIELD_IGB_QUEUES, SLUICE_FIELD_IGB_RINGS,
                                SLUICE_FIELD_IGB_COUNT, SLUICE_FIELD_IGB_USE, SLUICE_FIELD_IGB_CLEAN},
                    IntelFields{SLUICE_READER_IGC, SLUICE_FIELD_IGC_QUEUES, SLUICE_FIELD_IGC_RINGS,
                                SLUICE_FIELD_IGC_COUNT, SLUICE_FIELD_IGC_USE, SLUICE_FIELD_IGC_CLEAN},
                    IntelFields{SLUICE_READER_I40E, SLUICE_FIELD_I40E_QUEUES, SLUICE_FIELD_I40E_RINGS,
                                SLUICE_FIELD_I40E_COUNT, SLUICE_FIELD_I40E_USE, SLUICE_FIELD_I40E_CLEAN,
                                SLUICE_FIELD_I40E_VSI, false, false},
                    IntelFields{SLUICE_READER_ICE, SLUICE_FIELD_ICE_QUEUES, SLUICE_FIELD_ICE_RINGS,
                                SLUICE_FIELD_ICE_COUNT, SLUICE_FIELD_ICE_USE, SLUICE_FIELD_ICE_CLEAN,
                                SLUICE_FIELD_ICE_VSI, false}),
    [](const auto &driver) { return kNames[driver.param.reader]; });

TEST(IxgbeRing, AdapterBehindAPointerSince616) {
    Memory m;
    const uint64_t priv = m.device(), adapter = m.make(), ring = m.make();
    layout[SLUICE_FIELD_IXGBE_ADAPTER] = 8;
    m.put(priv, SLUICE_FIELD_IXGBE_ADAPTER, adapter);
    m.put(adapter, SLUICE_FIELD_IXGBE_QUEUES, 1);
    m.put_pointer(adapter + layout[SLUICE_FIELD_IXGBE_RINGS], 0, ring);
    m.put(ring, SLUICE_FIELD_IXGBE_COUNT, 64);
    m.put(ring, SLUICE_FIELD_IXGBE_USE, 12);
    EXPECT_EQ(m.look(SLUICE_READER_IXGBE, 0).occupancy, 12u);
}

// ---- mlx5 ----

class Mlx5Ring : public testing::TestWithParam<bool> {};

TEST_P(Mlx5Ring, SendQueueOfTheCpusChannel) {
    const bool apart = GetParam(); // newer kernels allocate the send queue apart from the channel
    Memory m;
    const uint64_t priv = m.device(), channels = m.make();
    if (apart)
        layout[SLUICE_FIELD_MLX5_SQ_POINTER] = layout[SLUICE_FIELD_MLX5_SQ];
    m.put(priv, SLUICE_FIELD_MLX5_CHANNELS, channels);
    m.put(priv, SLUICE_FIELD_MLX5_QUEUES, 2);
    for (uint32_t c = 0; c < 2; c++) {
        const uint64_t channel = m.make();
        m.put_pointer(channels, c, channel);
        uint64_t sq = channel + layout[SLUICE_FIELD_MLX5_SQ];
        if (apart) {
            sq = m.make();
            m.put(channel, SLUICE_FIELD_MLX5_SQ_POINTER, sq);
        }
        m.put(sq, SLUICE_FIELD_MLX5_SIZE, 1023);
        m.put(sq, SLUICE_FIELD_MLX5_PRODUCED, 4);
        m.put(sq, SLUICE_FIELD_MLX5_CONSUMED, 65530 - c);
    }
    EXPECT_EQ(m.look(SLUICE_READER_MLX5, 1).occupancy, 11u);
    EXPECT_EQ(m.look(SLUICE_READER_MLX5, 1).size, 1024u);
    EXPECT_EQ(m.look(SLUICE_READER_MLX5, 1).modulus, 0u) << "counts building blocks, not frames";
    m.look(SLUICE_READER_MLX5, 2);
    EXPECT_FALSE(m.readable) << "CPUs beyond the last channel cannot send";
}

INSTANTIATE_TEST_SUITE_P(SendQueue, Mlx5Ring, testing::Bool(),
                         [](const auto &apart) { return apart.param ? "Pointer" : "Embedded"; });

TEST(AnyRing, OnlyAllowedReadersRun) {
    Memory m;
    const uint64_t tun = m.device(), file = m.make();
    m.put(tun, SLUICE_FIELD_TUN_QUEUES, 1);
    m.put_pointer(tun + layout[SLUICE_FIELD_TUN_FILES], 0, file);
    put_ptr_ring(m, file + layout[SLUICE_FIELD_TUN_RING], 100, 50, 40);
    const sluice_ring_site site{m.dev, 0, kCpus};
    sluice_ring_view v{};
    EXPECT_EQ(sluice_read_ring(SLUICE_READER_TUN, SLUICE_OWNER_VETH, &site, &v), -1);
    EXPECT_EQ(sluice_read_ring(SLUICE_READER_NONE, SLUICE_OWNER_ALL, &site, &v), -1);
    EXPECT_EQ(sluice_read_ring(SLUICE_READERS + 1, SLUICE_OWNER_ALL, &site, &v), -1);
    EXPECT_EQ(sluice_read_ring(SLUICE_READER_TUN, SLUICE_OWNER_TUN, &site, &v), 0);
}

} // namespace
