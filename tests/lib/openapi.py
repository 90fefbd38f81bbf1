"""openapi.py - an OpenAPI 3.1 document as the judge of answers: a status, field or body that it does not promise is a fault

Its schemas are JSON Schema 2020-12, which Debian's python3-jsonschema knows. `default` stands for the statuses that an operation does
not name; its schema is as strict as any other.
"""
import json
import re

from lib import need

jsonschema = need.module("jsonschema", "python3-jsonschema")

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Operation:
    def __init__(self, path, method, item):
        self.path, self.method, self.item = path, method.upper(), item
        self.id = item["operationId"]
        self.responses = item["responses"]

    def __repr__(self):
        return f"{self.method} {self.path}"


class Document:
    def __init__(self, text):
        self.tree = json.loads(text)
        self.resolver = jsonschema.RefResolver.from_schema(self.tree)
        self.operations = [Operation(path, method, each) for path, item in self.tree["paths"].items() for method, each in item.items() if method in METHODS]

    def operation(self, operation_id):
        return next(each for each in self.operations if each.id == operation_id)

    def resolved(self, item):
        """The object itself, where `item` only refers to it."""
        return self.resolver.resolve(item["$ref"])[1] if "$ref" in item else item

    def faults(self, value, schema):
        """What is wrong with a value, a line each."""
        errors = jsonschema.Draft202012Validator(schema, resolver=self.resolver).iter_errors(value)
        return [f"{error.json_path}: {error.message[:300]}" for error in errors]

    def promised(self, operation, status):
        """The name under which the operation's responses have a status: the number, "default", or None."""
        return str(status) if str(status) in operation.responses else "default" if "default" in operation.responses else None

    def judge(self, operation, reply):
        """The faults of an answer to the operation, a line each."""
        promised = self.promised(operation, reply.status)
        if promised is None:
            return [f"{operation} does not document {reply.status}"]
        response = self.resolved(operation.responses[promised])
        return self.judge_fields(response, reply) + self.judge_body(response, reply)

    def judge_fields(self, response, reply):
        found = []
        for name, field in response.get("headers", {}).items():
            field, value = self.resolved(field), reply.headers.get(name.lower())
            if value is not None:
                number = field["schema"].get("type") == "integer" and re.fullmatch(r"-?[0-9]+", value)
                found += [f"{name}: {fault}" for fault in self.faults(int(value) if number else value, field["schema"])]
            elif field.get("required"):
                found.append(f"there is no {name}")
        return found

    def judge_body(self, response, reply):
        content_type = reply.headers.get("content-type", "").split(";")[0]
        if content_type not in response["content"]:
            return [f"the type {content_type!r} is not documented"]
        if content_type == "application/octet-stream":
            return self.judge_tensors(response, reply)
        value = strict_json(reply.body) if content_type == "application/json" else reply.text()
        return self.faults(value, response["content"][content_type]["schema"])

    def judge_tensors(self, response, reply):
        """JSON, and binary tensors behind it: see the extension binary_tensor_data of the Open Inference Protocol."""
        length = int(reply.headers.get("inference-header-content-length", 0))
        value = strict_json(reply.body[:length])
        size = sum(output.get("parameters", {}).get("binary_data_size", 0) for output in value["outputs"])
        found = self.faults(value, response["content"]["application/json"]["schema"])
        return found + ([] if length + size == len(reply.body) else [f"{len(reply.body)} bytes, not {length} and {size}"])

    def schemas(self):
        """Every schema that stands somewhere, with its place; those inside of others not."""
        found = [(f"components.schemas.{name}", schema) for name, schema in self.tree["components"]["schemas"].items()]
        return found + [(place, node["schema"]) for place, node in nodes(self.tree, "") if isinstance(node.get("schema"), dict)]

    def references(self):
        return [(place, node["$ref"]) for place, node in nodes(self.tree, "") if isinstance(node.get("$ref"), str)]

    def examples(self):
        """Every example of a value that has a schema, with its place and the schema."""
        found = []
        for place, node in nodes(self.tree, ""):
            if isinstance(node.get("schema"), dict):
                found += [(place, node["example"], node["schema"])] if "example" in node else []
                found += [(f"{place}.{name}", each["value"], node["schema"]) for name, each in node.get("examples", {}).items()]
        return found


def nodes(tree, place):
    """Every object in the tree, with its place."""
    if isinstance(tree, dict):
        yield place, tree
    for name, child in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from nodes(child, f"{place}.{name}")


def strict_json(text):
    """JSON without what Python takes beyond it: NaN, Infinity, and members that stand twice."""
    def no_constant(word):
        raise ValueError(f"{word} is no JSON")

    def no_double(pairs):
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError(f"a member stands twice: {names}")
        return dict(pairs)
    return json.loads(text, parse_constant=no_constant, object_pairs_hook=no_double)
