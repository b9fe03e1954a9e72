#include "policy/document.hpp"

#include <map>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "core/text.hpp"

namespace sluice {
namespace {

constexpr size_t most_nodes = 20'000; // anchors and aliases count as what they stand for
constexpr size_t most_levels = 32;    // a policy needs eight

SourcePos place(const YAML::Mark &mark) {
    return mark.is_null() ? SourcePos{} : SourcePos{mark.line + 1, mark.column + 1};
}

size_t count_nodes(const Node &node) {
    size_t n = 1;
    for (const Node &child : node.children)
        n += count_nodes(child);
    return n;
}

// The text cannot be read any further.
struct Refused {
    SourcePos pos;
    std::string message;
};

// Builds the tree from parser events. Events are used instead of YAML::Node because they show duplicate keys,
// quotes and every mark, and because aliases are expanded here, under our own limit.
class TreeBuilder : public YAML::EventHandler {
  public:
    explicit TreeBuilder(Report &r) : report(r) {}

    Node take_root() { return std::move(root); }

    void OnDocumentStart(const YAML::Mark &) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark &mark, YAML::anchor_t anchor) override {
        add(start(Node::Kind::null, mark, ""), anchor);
    }

    void OnScalar(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                  const std::string &value) override {
        Node node = start(Node::Kind::scalar, mark, tag);
        node.text = value;
        node.quoted = tag == "!";
        add(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark &mark, YAML::anchor_t anchor) override {
        const auto target = anchors.find(anchor);
        if (target == anchors.end())
            throw Refused{place(mark), "an alias inside the node that it stands for"};
        count(place(mark), count_nodes(target->second));
        add(target->second, 0);
    }

    void OnSequenceStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        descend(start(Node::Kind::list, mark, tag), anchor);
    }

    void OnMapStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        descend(start(Node::Kind::map, mark, tag), anchor);
    }

    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

  private:
    struct Open {
        Node node;
        YAML::anchor_t anchor;
        std::optional<Node> key; // read, its value is still to come
    };

    Node start(Node::Kind kind, const YAML::Mark &mark, const std::string &tag) {
        Node node;
        node.kind = kind;
        node.pos = place(mark);
        count(node.pos, 1);
        if (!tag.empty() && tag != "?" && tag != "!")
            report.error(node.pos, "YAML tags are not supported");
        return node;
    }

    void count(SourcePos pos, size_t n) {
        nodes += n;
        if (nodes > most_nodes)
            throw Refused{pos, "the policy has more than " + std::to_string(most_nodes) + " nodes"};
    }

    void descend(Node node, YAML::anchor_t anchor) {
        if (open.size() == most_levels)
            throw Refused{node.pos, "nested more than " + std::to_string(most_levels) + " levels deep"};
        open.push_back({std::move(node), anchor, {}});
    }

    void close() {
        Open done = std::move(open.back());
        open.pop_back();
        add(std::move(done.node), done.anchor);
    }

    void add(Node node, YAML::anchor_t anchor) {
        if (anchor != 0) {
            count(node.pos, count_nodes(node));
            anchors[anchor] = node;
        }
        if (open.empty())
            root = std::move(node);
        else if (open.back().node.kind == Node::Kind::list)
            open.back().node.children.push_back(std::move(node));
        else if (!open.back().key)
            open.back().key = std::move(node);
        else
            add_entry(open.back(), std::move(node));
    }

    void add_entry(Open &map, Node value) {
        const Node key = std::move(*map.key);
        map.key.reset();
        if (key.kind != Node::Kind::scalar)
            return report.error(key.pos, "a key must be a plain word");
        if (key.text == "<<" && !key.quoted)
            return report.error(key.pos, "merge keys (`<<`) are not supported: write the keys out");
        if (const Node *first = map.node.find(key.text))
            return report.error(key.pos, "duplicate key " + quote(key.text) + ", first written in line " +
                                             std::to_string(first->key_pos.line));
        value.key = key.text;
        value.key_pos = key.pos;
        if (value.kind == Node::Kind::null)
            value.pos = key.pos; // yaml-cpp marks an absent value where the next token starts
        map.node.children.push_back(std::move(value));
    }

    Report &report;
    Node root;
    std::vector<Open> open;
    std::map<YAML::anchor_t, Node> anchors; // complete nodes only
    size_t nodes = 0;
};

} // namespace

const Node *Node::find(std::string_view child_key) const {
    for (const Node &child : children)
        if (child.key == child_key)
            return &child;
    return nullptr;
}

std::optional<Node> read_document(std::string_view text, Report &report) {
    try {
        std::istringstream in{std::string(text)};
        YAML::Parser parser(in);
        TreeBuilder builder(report);
        if (!parser.HandleNextDocument(builder)) {
            report.error({}, "the policy is empty");
            return std::nullopt;
        }
        TreeBuilder second(report);
        if (parser.HandleNextDocument(second)) {
            report.error(second.take_root().pos, "a policy file holds one document, this is a second one");
            return std::nullopt;
        }
        return builder.take_root();
    } catch (const Refused &e) {
        report.error(e.pos, e.message);
    } catch (const YAML::Exception &e) {
        report.error(place(e.mark), e.msg);
    }
    return std::nullopt;
}

} // namespace sluice
