"""Sizes that YARN does not give: said of a submission, or later of a container that the application asks for."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import Cause

SIZES = [
    Cause(
        r"Requested resource=<(?P<asked>[^>]{0,300})>, maximum allowed allocation=<(?P<most>[^>]{0,300})>",
        says="The {what} is larger than YARN allows: asked were {asked}, at most {most} are allowed.",
        remedy="Choose a smaller size.",
    ),
    Cause(
        "Invalid resource request.{0,500}?(?:greater than maximum|requested memory|requested virtual cores)",
        says="The {what} is larger than YARN allows.",
        remedy="Choose a smaller size.",
    ),
    Cause(
        "zero amount of resource",
        says="The queue {queue} gives none of a resource that the {what} needs.",
        remedy="Choose another queue or another size.",
    ),
    Cause(
        r"Resource '(?P<resource>[\w./-]+)' is not defined in your cluster's configuration",
        says="The cluster does not have a kind of resource that the {what} asks for: {resource}.",
        remedy="Choose a size without it.",
    ),
]
