// `tenants:` of a transition.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <sluice/abi.h>

#include "core/text.hpp"
#include "policy/match_values.hpp"
#include "policy/names.hpp"
#include "policy/sections.hpp"
#include "policy/share_keys.hpp"
#include "policy/tenants.hpp"

namespace sluice {
namespace {

constexpr long highest_vlan = 4095;

// Addresses and VLAN ids may stand side by side here; check_tenants() knows which the transition wants.
void read_tenant_match(Reader &r, const Node &node, Tenant &t) {
    for (const Node &item : r.one_or_many(node, "`match`")) {
        const bool number = item.kind == Node::Kind::scalar && !item.text.empty() &&
                            item.text.find_first_not_of("0123456789") == std::string::npos;
        if (number) {
            if (const auto id = r.integer(item, 0, highest_vlan))
                t.vlans.push_back(static_cast<uint16_t>(*id));
        } else if (const auto prefix = read_prefix(r, item)) {
            t.prefixes.push_back(*prefix);
        }
    }
}

constexpr Key in_key = {.name = "in",
                        .type = Type::identifier,
                        .example = "tower1",
                        .meaning = "The group of tenants that it belongs to."};

constexpr Row<Tenant> tenant_rows[] = {
    {{.name = "name",
      .type = Type::identifier,
      .need = Need::required,
      .example = "alice",
      .meaning = "Name in metrics and messages."},
     [](Reader &r, const Node &n, Tenant &t) { t.name = r.identifier(n).value_or(""); }},
    {{.name = "match",
      .type = Type::tenant_match,
      .need = Need::required,
      .example = "[203.0.113.0/28, \"2001:db8:1::/48\"]",
      .meaning = "Prefixes of the tenant, or VLAN ids, as `by` says. The longest prefix wins."},
     read_tenant_match},
    {in_key, [](Reader &r, const Node &n, Tenant &t) { t.in = r.identifier(n).value_or(""); }},
    share_row<Tenant>(ShareKey::priority),
    share_row<Tenant>(ShareKey::weight),
    share_row<Tenant>(ShareKey::min),
    share_row<Tenant>(ShareKey::ceil),
};

constexpr Row<Tenant> default_rows[] = {
    share_row<Tenant>(ShareKey::priority),
    share_row<Tenant>(ShareKey::weight),
    share_row<Tenant>(ShareKey::min),
    share_row<Tenant>(ShareKey::ceil),
};

constexpr Row<TenantGroup> group_rows[] = {
    {{.name = "name",
      .type = Type::identifier,
      .need = Need::required,
      .example = "tower1",
      .meaning = "Name that tenants and groups give in `in`."},
     [](Reader &r, const Node &n, TenantGroup &g) { g.name = r.identifier(n).value_or(""); }},
    {in_key, [](Reader &r, const Node &n, TenantGroup &g) { g.in = r.identifier(n).value_or(""); }},
    share_row<TenantGroup>(ShareKey::priority),
    share_row<TenantGroup>(ShareKey::weight),
    share_row<TenantGroup>(ShareKey::min),
    share_row<TenantGroup>(ShareKey::ceil),
};

void read_list(Reader &r, const Node &node, Tenants &t) {
    if (!r.want_list(node, "`list`"))
        return;
    for (const Node &item : node.children)
        if (Tenant tenant; read_tenant(r, item, tenant))
            t.list.push_back(std::move(tenant));
}

void read_groups(Reader &r, const Node &node, Tenants &t) {
    if (!r.want_list(node, "`groups`"))
        return;
    for (const Node &item : node.children) {
        TenantGroup group;
        group.pos = item.pos;
        if (read_rows<TenantGroup>(r, item, "a group of tenants", group_rows, group))
            t.groups.push_back(std::move(group));
    }
}

constexpr Row<Tenants> rows[] = {
    {{.name = "by",
      .type = Type::word,
      .need = Need::required,
      .example = "dst",
      .meaning = "What names the tenant: the source or the destination address of a packet, or the VLAN id.",
      .words = tenant_key_words},
     [](Reader &r, const Node &n, Tenants &t) { read_word(r, n, tenant_key_words, t.by); }},
    {{.name = "default",
      .type = Type::section,
      .example = "{weight: 1, ceil: 10mbit}",
      .meaning = "Share of who matches no tenant, together; named `other`.",
      .section = "tenant_default"},
     [](Reader &r, const Node &n, Tenants &t) {
         read_rows<Tenant>(r, n, "`default`", default_rows, t.list.front());
     }},
    {{.name = "groups",
      .type = Type::section_list,
      .example = "[{name: site}, {name: tower1, in: site, ceil: 500mbit}]",
      .meaning = "What tenants have in common on the way to the port: a site, a tower, an access point.",
      .section = "tenant_group"},
     [](Reader &r, const Node &n, Tenants &t) { read_groups(r, n, t); }},
    {{.name = "list",
      .type = Type::section_list,
      .example = "[{name: alice, match: 203.0.113.0/28, ceil: 50mbit}]",
      .meaning = "The tenants.",
      .section = "tenant"},
     [](Reader &r, const Node &n, Tenants &t) { read_list(r, n, t); }},
    {{.name = "file",
      .type = Type::file,
      .example = "tenants.csv",
      .meaning = "More tenants, one per line, under a first line that names the columns: the keys of `list`, "
                 "separated by commas; several prefixes by spaces. Relative to the policy file."},
     [](Reader &r, const Node &n, Tenants &t) {
         t.file = std::string(r.scalar(n, "a path").value_or(""));
         t.file_pos = n.pos;
     }},
};

template <class T> std::unordered_map<std::string, uint32_t> index_by_name(const std::vector<T> &list) {
    std::unordered_map<std::string, uint32_t> out;
    for (uint32_t i = 0; i < list.size(); i++)
        out.emplace(list[i].name, i);
    return out;
}

std::string key_text(const Prefix &p) {
    return std::string(1, static_cast<char>(p.family)) + static_cast<char>(p.length) +
           std::string(p.address.begin(), p.address.end());
}

// Places of a list and of a file are in different texts, hence both reports.
class Checker {
  public:
    Checker(Reader &yaml, Reader *csv, Tenants &tenants, size_t first_of_csv)
        : yaml_(yaml), csv_(csv), tenants_(tenants), first_of_csv_(first_of_csv) {}

    void run() {
        resolve_groups();
        std::unordered_set<std::string> names, keys;
        for (size_t i = 0; i < tenants_.list.size(); i++) {
            Tenant &t = tenants_.list[i];
            Reader &r = csv_ && i >= first_of_csv_ ? *csv_ : yaml_;
            if (!t.name.empty() && !names.insert(t.name).second)
                r.error_at(t.pos, "a second tenant " + quote(t.name) + " in this transition");
            set_parent(r, t.in, t.pos, t.parent, static_cast<uint32_t>(tenants_.groups.size()));
            if (i > 0)
                check_match(r, t, keys);
        }
    }

  private:
    void resolve_groups() {
        std::unordered_set<std::string> names;
        groups_ = index_by_name(tenants_.groups);
        for (uint32_t i = 0; i < tenants_.groups.size(); i++) {
            TenantGroup &g = tenants_.groups[i];
            if (!g.name.empty() && !names.insert(g.name).second)
                yaml_.error_at(g.pos, "a second group " + quote(g.name) + " in this transition");
            set_parent(yaml_, g.in, g.pos, g.parent, i);
        }
    }

    // Only groups before `end` may be named: so there are no circles, and parents come first.
    void set_parent(Reader &r, const std::string &in, SourcePos pos, std::optional<uint32_t> &parent,
                    uint32_t end) {
        if (in.empty())
            return;
        const auto found = groups_.find(in);
        if (found == groups_.end())
            r.error_at(pos, "there is no group " + quote(in) + " in `groups`");
        else if (found->second >= end)
            r.error_at(pos, "group " + quote(in) + " must be listed before the groups in it");
        else
            parent = found->second;
    }

    void check_match(Reader &r, const Tenant &t, std::unordered_set<std::string> &keys) {
        const bool by_vlan = tenants_.by == TenantKey::vlan;
        if (by_vlan ? !t.prefixes.empty() : !t.vlans.empty())
            r.error_at(t.pos, "tenants are told apart by " +
                                  std::string(by_vlan ? "VLAN id: `match` must hold numbers"
                                                      : "address: `match` must hold prefixes"));
        for (const Prefix &p : t.prefixes)
            if (!keys.insert(key_text(p)).second)
                r.error_at(t.pos, "a prefix of tenant " + quote(t.name) + " is another tenant's already");
        for (uint16_t vlan : t.vlans)
            if (!keys.insert(std::to_string(vlan)).second)
                r.error_at(t.pos, "VLAN " + std::to_string(vlan) + " is another tenant's already");
    }

    Reader &yaml_;
    Reader *csv_;
    Tenants &tenants_;
    const size_t first_of_csv_;
    std::unordered_map<std::string, uint32_t> groups_;
};

} // namespace

bool read_tenant(Reader &r, const Node &node, Tenant &out) {
    out.pos = node.pos;
    return read_rows<Tenant>(r, node, "a tenant", tenant_rows, out);
}

void read_tenants(Reader &r, const Node &node, Transition &t) {
    Tenants &tenants = t.tenants.emplace();
    tenants.list.emplace_back();
    tenants.list.front().name = other_tenant;
    tenants.list.front().pos = node.pos;
    if (read_rows<Tenants>(r, node, "`tenants`", rows, tenants) && tenants.list.size() == 1 &&
        tenants.file.empty() && !r.has_error())
        r.error(node, "`tenants` needs a `list` or a `file`");
}

void check_tenants(Reader &yaml, Reader *csv, Tenants &tenants, size_t first_of_csv) {
    Checker(yaml, csv, tenants, first_of_csv).run();
}

Section tenants_section() {
    return section_of<Tenants>("tenants", "Tenants: `transitions[].tenants`", rows);
}

Section tenant_section() {
    return section_of<Tenant>("tenant", "A tenant: `transitions[].tenants.list[]`, or a line of `file`",
                              tenant_rows);
}

Section tenant_default_section() {
    return section_of<Tenant>("tenant_default", "Everybody else: `transitions[].tenants.default`",
                              default_rows);
}

Section tenant_group_section() {
    return section_of<TenantGroup>("tenant_group", "A group of tenants: `transitions[].tenants.groups[]`",
                                   group_rows);
}

} // namespace sluice
