// `tenants.file`: comma-separated, as spreadsheets and provisioning systems write it. No quotes: no value of
// these keys holds a comma.
#include "core/text.hpp"
#include "policy/tenants.hpp"

namespace sluice {
namespace {

std::string_view trim(std::string_view s) {
    const size_t first = s.find_first_not_of(" \t\r");
    return first == std::string_view::npos ? std::string_view{}
                                           : s.substr(first, s.find_last_not_of(" \t\r") - first + 1);
}

Node scalar(std::string_view text, int line, size_t column) {
    Node node;
    node.kind = Node::Kind::scalar;
    node.text = text;
    node.pos = node.key_pos = {line, static_cast<int>(column) + 1};
    return node;
}

// Cells of a line with their places.
std::vector<Node> cells(std::string_view line, int number, char separator, size_t column = 0) {
    std::vector<Node> out;
    while (true) {
        const size_t end = line.find(separator);
        const std::string_view cell = line.substr(0, end);
        const size_t lead = cell.find_first_not_of(" \t");
        out.push_back(scalar(trim(cell), number, column + (lead == std::string_view::npos ? 0 : lead)));
        if (end == std::string_view::npos)
            return out;
        line.remove_prefix(end + 1);
        column += end + 1;
    }
}

Node match_list(const Node &cell) {
    Node list = cell;
    list.kind = Node::Kind::list;
    for (Node &item : cells(cell.text, cell.pos.line, ' ', static_cast<size_t>(cell.pos.column - 1)))
        if (!item.text.empty())
            list.children.push_back(std::move(item));
    return list;
}

// A line as the map that the same tenant would be in the policy file; empty cells are keys left out.
Node as_map(const std::vector<Node> &header, const std::vector<Node> &line) {
    Node map;
    map.kind = Node::Kind::map;
    map.pos = line.front().pos;
    for (size_t i = 0; i < line.size() && i < header.size(); i++) {
        if (line[i].text.empty())
            continue;
        Node entry = header[i].text == "match" ? match_list(line[i]) : line[i];
        entry.key = header[i].text;
        map.children.push_back(std::move(entry));
    }
    return map;
}

// Calls `line(values)` for each line that holds something.
template <class F> void for_each_line(std::string_view text, F line) {
    for (int number = 1; !text.empty(); number++) {
        const size_t end = text.find('\n');
        const std::string_view here = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (!trim(here).empty() && trim(here).front() != '#')
            line(cells(here, number, ','));
    }
}

} // namespace

void read_tenant_file(Reader &r, std::string_view text, Tenants &out) {
    std::vector<Node> header;
    for_each_line(text, [&](const std::vector<Node> &values) {
        if (header.empty()) {
            header = values;
        } else if (values.size() > header.size()) {
            r.error(values[header.size()], "more cells than the first line has columns");
        } else if (Tenant tenant; read_tenant(r, as_map(header, values), tenant)) {
            out.list.push_back(std::move(tenant));
        }
    });
    if (header.empty())
        r.error_at({1, 1}, "the file is empty: its first line names the columns, such as name,match,ceil");
}

Node tenant_file_document(std::string_view text) {
    std::vector<Node> header;
    Node list;
    list.kind = Node::Kind::list;
    for_each_line(text, [&](const std::vector<Node> &values) {
        if (header.empty())
            header = values;
        else
            list.children.push_back(as_map(header, values));
    });
    return list;
}

} // namespace sluice
