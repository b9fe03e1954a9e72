#include "dataplane/ring_layout.hpp"

#include <bpf/btf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>

namespace sluice {
namespace {

constexpr RingDriver kDrivers[] = {
#define ROW(id, function, driver, modules, trust) {SLUICE_READER_##id, driver, modules, SLUICE_TRUST_##trust},
    SLUICE_RING_DRIVERS(ROW)
#undef ROW
};

struct Field {
    uint32_t owners;
    const char *type, *path;
    uint32_t bytes;
    bool needed;
};
constexpr Field kFields[] = {
#define NEED(owner, name, type, path, bytes) {SLUICE_OWNER_##owner, #type, #path, bytes, true},
#define MAY(owner, name, type, path, bytes) {SLUICE_OWNER_##owner, #type, #path, bytes, false},
    SLUICE_RING_FIELDS(NEED, MAY)
#undef NEED
#undef MAY
};
static_assert(std::size(kFields) == SLUICE_FIELDS);

struct BtfDeleter {
    void operator()(btf *b) const { btf__free(b); }
};
using Btf = std::unique_ptr<btf, BtfDeleter>;

// A type and the BTF that its ids belong to.
struct Type {
    const btf *types = nullptr;
    uint32_t id = 0;
};
struct Place {
    uint32_t offset = 0;
    Type type;
};

bool is_record(const btf_type *t) {
    return t && (btf_is_struct(t) || btf_is_union(t));
}

// Without typedefs, const and the like.
Type plain(Type type) {
    const int id = btf__resolve_type(type.types, type.id);
    return {type.types, id < 0 ? 0 : static_cast<uint32_t>(id)};
}

// A member by name, also of structures and unions that lie in it without a name.
std::optional<Place> member(Type record, std::string_view name) {
    const btf_type *t = btf__type_by_id(record.types, plain(record).id);
    if (!is_record(t))
        return std::nullopt;
    const btf_member *m = btf_members(t);
    for (uint32_t i = 0; i < btf_vlen(t); i++) {
        if (btf_member_bitfield_size(t, i) != 0)
            continue;
        const uint32_t offset = btf_member_bit_offset(t, i) / 8;
        const std::string_view own = btf__name_by_offset(record.types, m[i].name_off);
        const Type type{record.types, m[i].type};
        if (own == name)
            return Place{offset, type};
        if (!own.empty())
            continue;
        if (auto inside = member(type, name))
            return Place{offset + inside->offset, inside->type};
    }
    return std::nullopt;
}

std::optional<Type> record_named(const char *name, std::span<const btf *const> types) {
    for (const btf *b : types)
        if (const int id = btf__find_by_name_kind(b, name, BTF_KIND_STRUCT); id > 0)
            return Type{b, static_cast<uint32_t>(id)};
    return std::nullopt;
}

std::string name_of(const Field &f) {
    return std::string("struct ") + f.type + (*f.path ? std::string(".") + f.path : "");
}

Result<uint32_t> offset_of(const Field &f, std::span<const btf *const> types) {
    const auto record = record_named(f.type, types);
    if (!record)
        return fail("struct " + std::string(f.type) + " is not there");
    if (!*f.path)
        return static_cast<uint32_t>(btf__resolve_size(record->types, record->id));
    Place at{0, *record};
    std::istringstream path(f.path);
    for (std::string name; std::getline(path, name, '.');) {
        const auto next = member(at.type, name);
        if (!next)
            return fail(name_of(f) + " is not there");
        at = {at.offset + next->offset, next->type};
    }
    const auto bytes = btf__resolve_size(at.type.types, at.type.id);
    if (f.bytes && bytes != f.bytes)
        return fail(name_of(f) + " has " + std::to_string(bytes) + " bytes, not " + std::to_string(f.bytes));
    return at.offset;
}

Result<Btf> running_module(const std::string &module, btf *kernel) {
    Btf types(btf__load_module_btf(module.c_str(), kernel));
    if (!types)
        return fail_errno(errno, "read the types of module " + module);
    return types;
}

// Modules that are built into the kernel have no types of their own: nothing to add.
Result<> add_running(RingLayout &layout, const RingDriver &driver, btf *kernel) {
    std::vector<Btf> owned;
    std::vector<const btf *> types{kernel};
    std::istringstream modules{std::string(driver.modules)};
    for (std::string module; modules >> module;) {
        auto loaded = running_module(module, kernel);
        if (!loaded)
            continue;
        types.push_back(loaded->get());
        owned.push_back(std::move(*loaded));
    }
    return add_driver(layout, driver, types);
}

// [none] integrity confidentiality: the bracket is around what is in force.
bool lockdown_hides_memory() {
    std::ifstream file("/sys/kernel/security/lockdown");
    std::string text;
    std::getline(file, text);
    return text.find("[confidentiality]") != std::string::npos;
}

} // namespace

std::span<const RingDriver> ring_drivers() {
    return kDrivers;
}

const RingDriver *ring_driver(std::string_view driver) {
    const auto *row = std::find_if(std::begin(kDrivers), std::end(kDrivers),
                                   [&](const RingDriver &r) { return r.driver == driver; });
    return row == std::end(kDrivers) ? nullptr : row;
}

const RingDriver *ring_driver(sluice_reader reader) {
    const auto *row = std::find_if(std::begin(kDrivers), std::end(kDrivers),
                                   [&](const RingDriver &r) { return r.reader == reader; });
    return row == std::end(kDrivers) ? nullptr : row;
}

Result<> add_driver(RingLayout &layout, const RingDriver &driver, std::span<const btf *const> types) {
    RingLayout next = layout;
    const uint32_t bit = 1u << driver.reader;
    for (uint32_t i = 0; i < SLUICE_FIELDS; i++) {
        if (!(kFields[i].owners & bit))
            continue;
        const auto offset = offset_of(kFields[i], types);
        if (!offset && kFields[i].needed)
            return fail(
                "ring reader for " + std::string(driver.driver) + ": " + offset.error().what,
                "this kernel's driver is of a kind that sluice does not know yet: see docs/drivers.md");
        next.offset[i] = offset ? *offset : SLUICE_NO_FIELD;
    }
    next.readers |= bit;
    layout = next;
    return {};
}

Result<RunningLayout> running_ring_layout(std::span<const sluice_reader> readers) {
    RunningLayout out;
    const Btf kernel(btf__load_vmlinux_btf());
    if (!kernel)
        return fail_errno(errno, "read the kernel's types in /sys/kernel/btf/vmlinux",
                          "sluice needs a kernel with CONFIG_DEBUG_INFO_BTF");
    out.read_by_cast = btf__find_by_name_kind(kernel.get(), "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
    if (!out.read_by_cast && lockdown_hides_memory()) {
        for (const sluice_reader reader : readers)
            out.missing.push_back({reader,
                                   {"kernel memory cannot be read: lockdown=confidentiality on a kernel "
                                    "before 6.2",
                                    "use kernel 6.2 or later, or lockdown=integrity"}});
        return out;
    }
    for (const sluice_reader reader : readers) {
        const RingDriver *driver = ring_driver(reader);
        if (!driver)
            continue;
        if (auto r = add_running(out.layout, *driver, kernel.get()); !r)
            out.missing.push_back({reader, r.error()});
    }
    return out;
}

} // namespace sluice
