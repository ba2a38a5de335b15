#!/usr/bin/env python3
"""Checks the manifests of this folder against the schema of the Kubernetes API, offline and strictly
(no unknown field passes). Needs the PyPI package kubernetes-validate; deploy/kubernetes/validate.sh
brings it."""

import pathlib
import sys

import kubernetes_validate
import yaml

VERSION = "1.31"


def main() -> int:
    folder = pathlib.Path(__file__).parent
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    present = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    failures = [f"{name}: not listed in kustomization.yaml" for name in present - set(listed)]
    checked = 0
    for name in listed:
        for document in yaml.safe_load_all((folder / name).read_text()):
            what = f"{name}: {document['kind']} {document['metadata']['name']}"
            if "cert-manager.io" in document["apiVersion"]:
                print(f"{what}: not of the Kubernetes API, left out")
                continue
            try:
                kubernetes_validate.validate(document, VERSION, strict=True)
                checked += 1
                print(f"{what}: ok")
            except kubernetes_validate.ValidationError as error:
                at = ".".join(str(part) for part in error.path)
                failures.append(f"{what}: {at}: {error.message}")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    print(f"{checked} resources agree with the API {VERSION}, {len(failures)} do not")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
