"""The types that Visual Coding's files add to NWB's own, and how a file of such types is written.

They are declared here, by the names, types and shapes that the published files have, since a file must carry
the specification of what is in it. pynwb's own list of types is not changed: each file gets a copy.
"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

import h5py

from project_cache.files import translated

__all__ = ["POSITIONS", "ROTATIONS", "Types"]

NAMESPACE = "ndx-aibs-ecephys"
VERSION = "0.2.0"
POSITIONS = ("monitor_position", "camera_position", "led_position")
ROTATIONS = ("monitor_rotation", "camera_rotation")


class Types:
    """pynwb's types and those of the extension, in a type map that only this file uses."""

    def __init__(self) -> None:
        import pynwb

        self.map = pynwb.get_type_map()
        if NAMESPACE not in self.map.namespace_catalog.namespaces:
            with tempfile.TemporaryDirectory() as folder:
                _export_specification(Path(folder))
                self.map.load_namespaces(str(Path(folder) / f"{NAMESPACE}.namespace.yaml"))

    def make(self, type_name: str, **fields: Any) -> Any:
        """Return a new object of one of the extension's types."""
        return self.map.get_dt_container_cls(type_name, NAMESPACE)(**fields)

    def write(self, nwb: Any, path: Path) -> None:
        """Write the file."""
        from hdmf.build import BuildManager
        from pynwb import NWBHDF5IO

        manager = BuildManager(self.map)
        with (
            translated(path),
            # an open file, since pynwb warns of names that do not end in .nwb, and a part's does not
            h5py.File(path, "w") as file,
            NWBHDF5IO(file=file, mode="w", manager=manager) as io,
        ):
            _settle(manager.build(nwb, source=io.source, root=True), nwb.identifier)
            nwb.set_modified(False)  # or write() would build it anew
            # nothing expandable: a column that is one block on the disk can be mapped into memory
            io.write(nwb, cache_spec=True, expandable=())


def _export_specification(folder: Path) -> None:
    """Write the extension's specification (facts: names, types and shapes of the published files)."""
    from pynwb.spec import (
        NWBAttributeSpec,
        NWBDatasetSpec,
        NWBGroupSpec,
        NWBNamespaceBuilder,
    )

    def attribute(name: str, dtype: str, doc: str) -> Any:
        return NWBAttributeSpec(name=name, dtype=dtype, doc=doc)

    def measured(name: str, doc: str) -> Any:
        return NWBDatasetSpec(
            name=name,
            dtype="float32",
            shape=(None,),
            doc=doc,
            attributes=[attribute("unit", "text", "Unit of the values")],
        )

    builder = NWBNamespaceBuilder(
        name=NAMESPACE,
        version=VERSION,
        doc="Probes, electrode groups, specimens, eye tracking rigs and current source density",
        author="Allen Institute for Brain Science",
        contact="https://github.com/AllenInstitute/AllenSDK",
    )
    builder.include_namespace("core")
    probe_id = attribute("probe_id", "int", "Id of the probe in its project")
    source = f"{NAMESPACE}.extension.yaml"
    groups = [
        NWBGroupSpec(
            doc="A Neuropixels probe",
            neurodata_type_def="EcephysProbe",
            neurodata_type_inc="Device",
            attributes=[attribute("sampling_rate", "float64", "Rate of the spike band (Hz)"), probe_id],
        ),
        NWBGroupSpec(
            doc="The channels of one Neuropixels probe",
            neurodata_type_def="EcephysElectrodeGroup",
            neurodata_type_inc="ElectrodeGroup",
            attributes=[
                attribute("has_lfp_data", "bool", "Whether there is a file of field potentials"),
                probe_id,
                attribute("lfp_sampling_rate", "float64", "Rate of the field potential (Hz)"),
            ],
        ),
        NWBGroupSpec(
            doc="The animal that was recorded",
            neurodata_type_def="EcephysSpecimen",
            neurodata_type_inc="Subject",
            attributes=[
                attribute("specimen_name", "text", "Full name of the animal"),
                attribute("age_in_days", "float", "Age (days)"),
            ],
        ),
        NWBGroupSpec(
            doc="Where the monitor, the eye camera and its light stand",
            neurodata_type_def="EcephysEyeTrackingRigMetadata",
            neurodata_type_inc="NWBDataInterface",
            attributes=[attribute("equipment", "text", "Name of the rig")],
            datasets=[measured(name, "Along (or about) x, y and z") for name in (*POSITIONS, *ROTATIONS)],
        ),
        NWBGroupSpec(
            doc="Current source density and where its virtual electrodes lie",
            neurodata_type_def="EcephysCSD",
            neurodata_type_inc="NWBDataInterface",
            groups=[NWBGroupSpec(doc="Current source density", neurodata_type_inc="TimeSeries")],
            datasets=[
                measured("virtual_electrode_x_positions", "Horizontal positions"),
                measured("virtual_electrode_y_positions", "Vertical positions"),
            ],
        ),
    ]
    for group in groups:
        builder.add_spec(source, group)
    builder.export(f"{NAMESPACE}.namespace.yaml", outdir=str(folder))


def _settle(root: Any, identifier: str) -> None:
    """Give what is about to be written what pynwb has no word for.

    That is object ids which are the same each time (pynwb draws them at random, and two builds of one
    session would differ), and for the table of electrodes the type it had until NWB 2.8: pynwb before
    3.1 (AllenSDK's) cannot read the newer one, and pynwb 4 reads both.
    """
    seed = uuid.uuid5(uuid.NAMESPACE_URL, f"project-cache/{identifier}")
    below = [("", root)]
    while below:
        path, builder = below.pop()
        if "object_id" in builder.attributes:
            builder.attributes["object_id"] = str(uuid.uuid5(seed, path))
        if builder.attributes.get("neurodata_type") == "ElectrodesTable":
            builder.attributes.update(neurodata_type="DynamicTable", namespace="hdmf-common")
        children = [*getattr(builder, "groups", {}).items(), *getattr(builder, "datasets", {}).items()]
        below += [(f"{path}/{name}", child) for name, child in children]
