"""Holds recorded calls against AWS's own service models, as botocore carries them.

Takes a file with one JSON object a line: service, operation, body, status, answer. Prints every unknown
member, missing member, wrong type, unknown enum value and undeclared error, and fails if there
was one.
"""

import json
import sys

import botocore.loaders
from botocore.model import ServiceModel

# Errors that every AWS operation may answer and that service models do not list.
COMMON_ERRORS = {
    # The name that services of the query protocol have for it.
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalFailure",
    "InternalServiceFault",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "Throttling",
    "ThrottlingException",
    "UnrecognizedClientException",
    "ValidationError",
}

NUMBER = (int, float)
SCALARS = {
    "string": str,
    "integer": int,
    "long": int,
    "float": NUMBER,
    "double": NUMBER,
    "timestamp": NUMBER,
    "boolean": bool,
    "blob": str,
}


def faults_of(shape, value, path):
    """Yields what is wrong with a value that should be of this shape."""
    kind = shape.type_name
    if kind == "structure":
        yield from faults_of_structure(shape, value, path)
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for index, item in enumerate(value):
            yield from faults_of(shape.member, item, f"{path}[{index}]")
    elif kind == "map":
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no map"
            return
        for key, item in value.items():
            yield from faults_of(shape.value, item, f"{path}.{key}")
    else:
        yield from faults_of_scalar(shape, value, path)


def faults_of_structure(shape, value, path):
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no structure"
        return
    for required in shape.required_members:
        if required not in value:
            yield f"{path}.{required} is missing"
    for name, item in value.items():
        if name not in shape.members:
            yield f"{path}.{name} is unknown"
        else:
            yield from faults_of(shape.members[name], item, f"{path}.{name}")


def faults_of_scalar(shape, value, path):
    wanted = SCALARS[shape.type_name]
    if isinstance(value, bool) != (wanted is bool) or not isinstance(value, wanted):
        yield f"{path}: {value!r} is no {shape.type_name}"
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value!r} is none of {shape.enum}"


def faults_of_call(model, call):
    name = call["operation"]
    operation = model.operation_model(name)
    yield from faults_of(operation.input_shape, call["body"], f"{name} request")
    status, answer = call["status"], call["answer"]
    if answer is None:
        return
    if status == 200 and operation.output_shape is None:
        if answer:
            yield f"{name} answers {answer!r}, and should answer nothing"
        return
    if status == 200:
        yield from faults_of(operation.output_shape, answer, f"{name} answer")
        return
    code = answer.get("__type", "").rpartition("#")[2]
    declared = {shape.name for shape in operation.error_shapes} | COMMON_ERRORS
    if code not in declared:
        yield f"{name} does not declare the error {code}"
    if not isinstance(answer.get("message", answer.get("Message")), str):
        yield f"{name}: the error {code} has no message"


def main(path):
    with open(path, encoding="utf-8") as lines:
        calls = [json.loads(line) for line in lines]
    loader = botocore.loaders.Loader()
    models = {
        name: ServiceModel(loader.load_service_model(name, "service-2"), name)
        for name in {call["service"] for call in calls}
    }
    found = [f for call in calls for f in faults_of_call(models[call["service"]], call)]
    for fault in found:
        print(fault)
    operations = sorted({call["operation"] for call in calls})
    print(f"{len(calls)} calls of {len(operations)} operations, {len(found)} faults")
    return 1 if found or not calls else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
