#!/usr/bin/env python3
"""Software bill of materials of a Debian package, as SPDX 2.3 JSON: `sbom.py PACKAGE.deb [-o FILE]`.

What is in it (files with digests), what it needs at run time (its Depends, as this machine has them: it was built and
tested against these), and what it was built with (the list in ./dev). All figures come from dpkg.
"""
from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]


def run(*argv: object) -> str:
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True).stdout


def spdx_id(kind: str, name: str) -> str:
    return f"SPDXRef-{kind}-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def provider(name: str) -> str:
    """The installed package that stands behind a virtual one; the name itself where there is none."""
    if installed(name):
        return name
    for line in run("dpkg-query", "-W", "-f", "${Package}\t${Provides}\n").splitlines():
        package, provided = line.split("\t")
        if name in [re.sub(r"\(.*", "", word).strip() for word in provided.split(",")]:
            return package
    return name


def depends(deb: Path) -> list[str]:
    """First alternative of each dependency that is installed here; the package may name others beside it."""
    text = run("dpkg-deb", "-f", deb, "Depends").strip()
    alternatives = [[re.sub(r"[(:].*", "", choice).strip() for choice in part.split("|")] for part in text.split(",") if part]
    return [next((name for name in map(provider, names) if installed(name)), names[0]) for names in alternatives]


def build_dependencies() -> list[str]:
    words = re.search(r"^build_packages=\((.*?)\)", (TREE / "dev").read_text(), re.M | re.S)[1]
    return sorted(words.split())


def installed(name: str) -> dict[str, str] | None:
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}\t${Version}\t${source:Package}\t${source:Version}\t"
                           "${Homepage}\t${Maintainer}\t${Architecture}\n", name], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        status, version, source, source_version, homepage, maintainer, architecture = line.split("\t")
        if status == "installed":
            return {"version": version, "source": source, "source_version": source_version, "homepage": homepage,
                    "maintainer": maintainer, "architecture": architecture}
    return None


def debian_package(name: str) -> dict:
    facts = installed(name)
    package = {"SPDXID": spdx_id("Package", name), "name": name, "filesAnalyzed": False, "downloadLocation": "NOASSERTION",
               "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
               "versionInfo": facts["version"] if facts else "NOASSERTION"}
    if not facts:
        return package
    package["supplier"] = f"Organization: {facts['maintainer']}"
    package["sourceInfo"] = f"built from {facts['source']} {facts['source_version']}"
    package["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator":
                                f"pkg:deb/debian/{name}@{facts['version']}?arch={facts['architecture']}"}]
    if facts["homepage"]:
        package["homepage"] = facts["homepage"]
    return package


def files_of(deb: Path) -> list[dict]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "-x", deb, folder)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            content, name = path.read_bytes(), "./" + str(path.relative_to(folder))
            found.append({"SPDXID": spdx_id("File", name[2:]), "fileName": name, "licenseConcluded": "NOASSERTION",
                          "licenseInfoInFiles": ["NOASSERTION"], "copyrightText": "NOASSERTION",
                          "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(content).hexdigest()},
                                        {"algorithm": "SHA256", "checksumValue": hashlib.sha256(content).hexdigest()}]})
    return found


def own_package(deb: Path, files: list[dict]) -> dict:
    name, version = run("dpkg-deb", "-f", deb, "Package").strip(), run("dpkg-deb", "-f", deb, "Version").strip()
    sums = sorted(entry["checksums"][0]["checksumValue"] for entry in files)
    return {"SPDXID": spdx_id("Package", name), "name": name, "versionInfo": version, "filesAnalyzed": True,
            "packageVerificationCode": {"packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest()},
            "packageFileName": deb.name, "downloadLocation": "NOASSERTION", "licenseConcluded": "GPL-2.0-only",
            "licenseDeclared": "GPL-2.0-only", "licenseInfoFromFiles": ["NOASSERTION"], "copyrightText": "NOASSERTION",
            "supplier": "Organization: " + run("dpkg-deb", "-f", deb, "Maintainer").strip(),
            "checksums": [{"algorithm": "SHA256", "checksumValue": hashlib.sha256(deb.read_bytes()).hexdigest()}]}


def document(deb: Path) -> dict:
    files = files_of(deb)
    own = own_package(deb, files)
    needed, built_with = depends(deb), build_dependencies()
    packages = {name: debian_package(name) for name in [*needed, *built_with]}
    digest = own["checksums"][0]["checksumValue"]
    # Reproducible where the build is: the time is that of the sources, if the environment says so.
    now = datetime.datetime.fromtimestamp(float(os.environ.get("SOURCE_DATE_EPOCH", 0)) or deb.stat().st_mtime,
                                          datetime.timezone.utc)

    def relation(first: str, kind: str, second: str) -> dict:
        return {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}

    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": deb.stem, "documentNamespace": f"https://example.net/sluice/spdx/{deb.stem}-{digest[:16]}",
            "creationInfo": {"created": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: sluice-deploy-sbom.py"]},
            "packages": [own, *packages.values()], "files": files,
            "relationships": [relation("SPDXRef-DOCUMENT", "DESCRIBES", own["SPDXID"]),
                              *(relation(own["SPDXID"], "CONTAINS", entry["SPDXID"]) for entry in files),
                              *(relation(own["SPDXID"], "DEPENDS_ON", spdx_id("Package", n)) for n in needed),
                              *(relation(spdx_id("Package", n), "BUILD_DEPENDENCY_OF", own["SPDXID"]) for n in built_with)]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="sbom.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="default: beside the package, .spdx.json")
    args = parser.parse_args()
    output = args.output or args.package.with_suffix(".spdx.json")
    output.write_text(json.dumps(document(args.package), indent=1) + "\n")
    print(output)


if __name__ == "__main__":
    main()
