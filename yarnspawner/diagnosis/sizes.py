"""Causes that concern the requested size, in errors of a submission or of a later container request."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import Cause

SIZES = [
    Cause(
        "size-over-maximum",
        r"Requested resource=<(?P<asked>[^>]{0,300})>, maximum allowed allocation=<(?P<most>[^>]{0,300})>",
        message="The {what} requests more than YARN allows: {asked}, but the maximum is {most}.",
        remedy="Choose a smaller size.",
        admin="yarn.scheduler.maximum-allocation-mb and -vcores limit one container, and so does the largest node.",
    ),
    Cause(
        "size-over-maximum",
        "Invalid resource request.{0,500}?(?:greater than maximum|requested memory|requested virtual cores)",
        message="The {what} requests more than YARN allows.",
        remedy="Choose a smaller size.",
        admin="yarn.scheduler.maximum-allocation-mb and -vcores limit one container, and so does the largest node.",
    ),
    Cause(
        "resource-not-in-queue",
        "zero amount of resource",
        message="The queue {queue} does not provide a resource that the {what} requests.",
        remedy="Choose another queue or another size.",
        admin="check the queue's capacity for this resource in capacity-scheduler.xml.",
    ),
    Cause(
        "resource-unknown",
        r"Resource '(?P<resource>[\w./-]+)' is not defined in your cluster's configuration",
        message="The cluster does not have a resource that the {what} requests: {resource}.",
        remedy="Choose a size without it.",
        admin="the resource must be defined in resource-types.xml.",
    ),
]
