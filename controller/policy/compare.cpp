#include "policy/compare.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/units.hpp"
#include "policy/document.hpp"
#include "policy/keys.hpp"
#include "policy/tenants.hpp"

namespace sluice {
namespace {

// Keys that are constants of the loaded programs; all else lives in maps.
constexpr std::string_view program_keys[] = {"device", "from", "to", "forward"};
// Objects whose coming or going takes other programs.
constexpr std::string_view program_sections[] = {"port", "transition"};

template <class List> bool contains(const List &list, std::string_view word) {
    return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

std::string canonical(Type type, const std::string &text) {
    if (type == Type::rate || type == Type::rate_or_percent)
        if (const auto rate = parse_rate(text))
            return print_rate(rate->bytes_per_s);
    if (type == Type::duration_or_auto)
        if (const auto duration = parse_duration_ns(text))
            return print_duration(*duration);
    return text;
}

// The value on one line, as a flow collection.
std::string flow_text(const Node &node, Type type) {
    if (node.kind == Node::Kind::scalar)
        return canonical(type, node.text);
    std::string out;
    for (const Node &child : node.children) {
        out += out.empty() ? "" : ", ";
        out += (node.kind == Node::Kind::map ? child.key + ": " : "") + flow_text(child, type);
    }
    return node.kind == Node::Kind::map ? "{" + out + "}" : "[" + out + "]";
}

// A single value is a list of one in the keys that take lists: the two spellings mean the same.
std::string value_text(const Node &node, Type type) {
    const std::string text = flow_text(node, type);
    return node.kind == Node::Kind::list && node.children.size() == 1 &&
                   node.children[0].kind == Node::Kind::scalar
               ? text.substr(1, text.size() - 2)
               : text;
}

class Comparison {
  public:
    Comparison(const PolicyBytes &before, const PolicyBytes &after) : before_(before), after_(after) {}

    std::vector<PolicyChange> run() {
        const auto a = document(before_), b = document(after_);
        maps(a ? &*a : nullptr, b ? &*b : nullptr, "policy", "the policy", "");
        return std::move(changes_);
    }

  private:
    static std::optional<Node> document(const PolicyBytes &bytes) {
        std::string_view text = bytes.text;
        if (text.starts_with("\xef\xbb\xbf"))
            text.remove_prefix(3);
        Report report(bytes.file, text);
        return read_document(text, report);
    }

    const Section *section(std::string_view name) const {
        const auto found = std::ranges::find_if(sections_, [&](const Section &s) { return s.name == name; });
        return found == sections_.end() ? nullptr : &*found;
    }

    void changed(std::string object, std::string key, std::string before, std::string after, bool programs) {
        if (before != after)
            changes_.push_back(
                {std::move(object), std::move(key), std::move(before), std::move(after), programs});
    }

    // `a` or `b` is null where the map is not there; `object` and `prefix` say where we are.
    void maps(const Node *a, const Node *b, std::string_view section_name, const std::string &object,
              const std::string &prefix) {
        const Section *rows = section(section_name);
        for (size_t i = 0; rows && i < rows->keys.size(); i++) {
            const Key &key = rows->keys[i];
            const Node *x = a ? a->find(key.name) : nullptr, *y = b ? b->find(key.name) : nullptr;
            if (x || y)
                entry(key, x, y, object, prefix + std::string(key.name));
        }
    }

    void entry(const Key &key, const Node *a, const Node *b, const std::string &object,
               const std::string &path) {
        const auto is = [](const Node *n, Node::Kind kind) { return !n || n->kind == kind; };
        const bool both_maps = is(a, Node::Kind::map) && is(b, Node::Kind::map);
        const bool both_lists = is(a, Node::Kind::list) && is(b, Node::Kind::list);
        if (key.type == Type::section_by_name && both_maps)
            named(a, b, key.section, object);
        else if (both_maps && !key.section.empty())
            maps(a, b, key.section, object, path + ".");
        else if (both_lists && !key.section.empty() && !names_of(a ? *a : *b, key.section).empty())
            named(a, b, key.section, object);
        else
            leaf(key, a, b, object, path);
    }

    void leaf(const Key &key, const Node *a, const Node *b, const std::string &object,
              const std::string &path) {
        const auto text = [&](const Node *n) {
            return n ? value_text(*n, key.type) : canonical(key.type, std::string(key.fallback));
        };
        if (key.type == Type::file)
            tenant_files(a, b, object);
        changed(object, path, text(a), text(b), contains(program_keys, path));
    }

    // What an item of a list or of a map of maps is called; empty where it has no name.
    static std::string name_of(const Node &item, std::string_view section_name) {
        if (!item.key.empty() && item.kind == Node::Kind::map)
            return item.key;
        const Node *name = item.find(section_name == "transition" ? "to" : "name");
        return name ? name->text : "";
    }

    // Of all items, a number behind those that come again; empty unless every item has a name.
    static std::vector<std::string> names_of(const Node &list, std::string_view section_name) {
        std::vector<std::string> names;
        std::unordered_map<std::string, int> seen;
        for (const Node &item : list.children) {
            const std::string name = name_of(item, section_name);
            if (name.empty())
                return {};
            const int n = ++seen[name];
            names.push_back(n > 1 ? name + " (" + std::to_string(n) + ")" : name);
        }
        return names;
    }

    using Index = std::unordered_map<std::string, size_t>;
    static Index index_of(const std::vector<std::string> &names) {
        Index index;
        for (size_t i = 0; i < names.size(); i++)
            index.emplace(names[i], i);
        return index;
    }

    static std::string object_name(const std::string &outer, std::string_view section_name,
                                   const std::string &name) {
        const std::string word(section_name == "tenant_group" ? "group" : section_name);
        const std::string here = word + (section_name == "transition" ? " to " : " ") + name;
        return outer == "the policy" ? here : outer + ", " + here;
    }

    void named(const Node *a, const Node *b, std::string_view section_name, const std::string &outer) {
        const auto x = a ? names_of(*a, section_name) : std::vector<std::string>();
        const auto y = b ? names_of(*b, section_name) : std::vector<std::string>();
        const bool programs = contains(program_sections, section_name);
        const Index in_x = index_of(x), in_y = index_of(y);
        for (size_t i = 0; i < x.size(); i++) {
            const std::string object = object_name(outer, section_name, x[i]);
            if (const auto j = in_y.find(x[i]); j != in_y.end())
                maps(&a->children[i], &b->children[j->second], section_name, object, "");
            else
                changed(object, "", flow_text(a->children[i], Type::word), "", programs);
        }
        for (size_t j = 0; j < y.size(); j++)
            if (!in_x.count(y[j]))
                changed(object_name(outer, section_name, y[j]), "", "", flow_text(b->children[j], Type::word),
                        programs);
        if (section_name == "class" || section_name == "transition")
            changed(outer, "order of " + std::string(section_name == "class" ? "classes" : "transitions"),
                    common(x, in_y), common(y, in_x), section_name == "transition");
    }

    // First match wins, and transitions are numbered: the same items in another order are another policy.
    static std::string common(const std::vector<std::string> &names, const Index &others) {
        std::string out;
        for (const auto &name : names)
            if (others.count(name))
                out += (out.empty() ? "" : ", ") + name;
        return out;
    }

    void tenant_files(const Node *a, const Node *b, const std::string &object) {
        const auto rows = [](const Node *name, const PolicyBytes &bytes) {
            const auto *file = name ? bytes.tenant_file(name->text) : nullptr;
            return tenant_file_document(file ? file->text : "");
        };
        const Node x = rows(a, before_), y = rows(b, after_);
        named(&x, &y, "tenant", object);
    }

    const PolicyBytes &before_, &after_;
    const std::vector<Section> sections_ = policy_sections();
    std::vector<PolicyChange> changes_;
};

} // namespace

std::vector<PolicyChange> compare_policies(const PolicyBytes &before, const PolicyBytes &after) {
    return Comparison(before, after).run();
}

std::string to_string(const PolicyChange &c) {
    if (c.key.empty())
        return c.object + (c.before.empty() ? ": added, " + c.after : ": removed, was " + c.before);
    const auto shown = [](const std::string &text) { return text.empty() ? "none" : text; };
    return c.object + ": " + c.key + " " + shown(c.before) + " -> " + shown(c.after);
}

} // namespace sluice
