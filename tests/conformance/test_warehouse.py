"""The same warehouse, asked by AllenSDK 2.16.2 and by us: the same files, byte for byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from project_cache.manifest.keys import Key
from project_cache.sources.warehouse import WarehouseSource
from project_cache.store.part import Part
from project_cache.testing.warehouse import LoopbackWarehouse

pytestmark = pytest.mark.conformance

SESSION = 715093703
OBJECTS = {
    "sessions.csv": Key("sessions"),
    "probes.csv": Key("probes"),
    "channels.csv": Key("channels"),
    "units.csv": Key("units"),
    "brain_observatory_1.1_analysis_metrics.csv": Key(
        "typewise_analysis_metrics", ("brain_observatory_1.1",)
    ),
    "functional_connectivity_analysis_metrics.csv": Key(
        "typewise_analysis_metrics", ("functional_connectivity",)
    ),
    f"session_{SESSION}/session_{SESSION}.nwb": Key("session_nwb", (SESSION,)),
    f"session_{SESSION}/probe_811458797_lfp.nwb": Key("probe_lfp_nwb", (SESSION, 811458797)),
    f"session_{SESSION}/probe_811458807_lfp.nwb": Key("probe_lfp_nwb", (SESSION, 811458807)),
    f"session_{SESSION}/session_{SESSION}_analysis_metrics.csv": Key("session_analysis_metrics", (SESSION,)),
    "natural_movie_templates/natural_movie_1.h5": Key("natural_movie", (1,)),
}

# fills a folder, once for each (host, folder, names of the objects)
FILL = """
import json, sys, warnings
warnings.simplefilter("ignore")
from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

for host, manifest, names in json.loads(sys.argv[1]):
    cache = EcephysProjectCache.from_warehouse(scheme="http", host=host, manifest=manifest, fetch_tries=1)
    cache._get_sessions(), cache._get_probes(), cache._get_channels(), cache._get_units()
    cache.get_all_session_types = lambda: ["brain_observatory_1.1", "functional_connectivity"]
    for name in names:
        folder, _, file = name.rpartition("/")
        if file.endswith("_analysis_metrics.csv") and folder:
            cache.get_unit_analysis_metrics_for_session(int(file.split("_")[1]), annotate=False)
        elif file.endswith("_analysis_metrics.csv"):
            kind = file.removesuffix("_analysis_metrics.csv")
            cache.get_unit_analysis_metrics_by_session_type(kind, annotate=False)
        elif file.endswith("_lfp.nwb"):
            probe = int(file.split("_")[1])
            cache._setup_probe_promises(int(folder.split("_")[1]))[probe]()
        elif file.endswith(".nwb"):
            cache.get_session_data(int(folder.split("_")[1]))
        elif file.startswith("natural_movie"):
            cache.get_natural_movie_template(int(file.split("_")[2].removesuffix(".h5")))
"""

#: cells that are hard to type: nulls among integers, numbers as names, literals as text, quotes, letters, extremes
ODD = {
    "sessions.csv": '''\
id,date_of_acquisition,isi_experiment_id,published_at,specimen_id,session_type,age_in_days,sex,genotype,has_nwb,odd,mixed,text,big
7,2019-01-19T00:54:18Z,,2019-10-03,1,brain_observatory_1.1,118.0,M,,True,"a,b ""c""",1,"'x'",12345678901234567890
9,2019-01-20T00:54:18Z,3,2019-10-03,2,functional_connectivity,90,F,"Größe/wt;",,µ,x,"'y, z'",5
10,2019-01-20T00:54:18Z,3,2019-10-03,2,functional_connectivity,90.5,,wt/wt,True,1e5,2.50,"[1, 'a']",5
''',
    "probes.csv": """\
id,air_channel_index,ecephys_session_id,has_lfp_data,lfp_sampling_rate,lfp_temporal_subsampling_factor,name,phase,sampling_rate
70,374,7,True,2500,2,probeA,3a,29999.9674184945
71,,7,False,2499.99728487454,2.0,1,3a,1e-7
90,374,9,True,2500.0,2.0,007,3,1e22
""",
    "channels.csv": """\
id,ecephys_probe_id,local_index,anterior_posterior_ccf_coordinate,left_right_ccf_coordinate,ecephys_structure_id,ecephys_structure_acronym
700,70,0,8000,,385,VISp
701,71,0,8000.5,7500,,
900,90,0,-1000,-1000,385,NA
""",
    "units.csv": """\
id,ecephys_channel_id,quality,firing_rate,amplitude_cutoff,presence_ratio,isi_violations,epoch
5,700,good,1.0,0.01,1,0.1,None
6,701,noise,,0.5,0.99,0.1,None
8,900,good,3,0.01,1.0,0,None
""",
    "brain_observatory_1.1_analysis_metrics.csv": """\
ecephys_unit_id,i,f,n,l,b,bn,on_screen_rf,p_value_rf,s
5,1,0.5,,"[1, 2]",True,True,True,0.01,xy
6,2,1.0,3,"[]",False,,False,0.5,0.25
""",
    # numbers only: whole ones come out with a point
    "functional_connectivity_analysis_metrics.csv": """\
ecephys_unit_id,i,f,n
8,1,0.5,7
""",
}


@pytest.fixture(scope="module")
def folders(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two warehouses' folders: AllenSDK's own, and one of odd rows."""
    whole = tmp_path_factory.mktemp("warehouse") / "whole"
    shutil.copytree(shared / "data" / "allen_session", whole, copy_function=shutil.copyfile)
    whole.chmod(0o755)
    movies = whole / "natural_movie_templates"
    movies.mkdir()
    import numpy as np

    with (movies / "natural_movie_1.h5").open("wb") as file:
        np.save(file, np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    odd = tmp_path_factory.mktemp("odd")
    for name, text in ODD.items():
        (odd / name).write_text(text, encoding="utf-8")
    return {"whole": whole, "odd": odd}


def named(folder: Path) -> list[str]:
    return [name for name in OBJECTS if (folder / name).exists()]


@pytest.fixture(scope="module")
def filled(
    folders: dict[str, Path], allensdk: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, dict[str, bytes]]]:
    """What AllenSDK and we made of each warehouse: its folder, and our bytes by name."""
    out = tmp_path_factory.mktemp("filled")
    results: dict[str, tuple[Path, dict[str, bytes]]] = {}
    with (
        LoopbackWarehouse(folders["whole"]) as whole,
        LoopbackWarehouse(folders["odd"]) as odd,
        LoopbackWarehouse(folders["odd"], as_text=True) as text,
    ):
        jobs = []
        for name, warehouse in {"whole": whole, "odd": odd, "odd, as text": text}.items():
            jobs.append((warehouse.host, str(out / name / "manifest.json"), named(warehouse.folder)))
        allensdk(FILL, json.dumps(jobs))
        for name, warehouse in {"whole": whole, "odd": odd, "odd, as text": text}.items():
            source = WarehouseSource("http", warehouse.host)
            ours = {}
            for file in named(warehouse.folder):
                with Part(out / "ours") as part:
                    source.fill(OBJECTS[file], part)
                    part.close()
                    ours[file] = part.path.read_bytes()
                    part.discard()
            results[name] = (out / name, ours)
    return results


@pytest.mark.parametrize("name", ["whole", "odd", "odd, as text"])
def test_files_are_byte_for_byte_allensdks(
    name: str, filled: dict[str, tuple[Path, dict[str, bytes]]]
) -> None:
    folder, ours = filled[name]
    assert len(ours) == (10 if name == "whole" else 6)
    for file, data in ours.items():
        assert data == (folder / file).read_bytes(), file


def test_what_came_is_what_the_warehouse_has(
    folders: dict[str, Path], filled: dict[str, tuple[Path, dict[str, bytes]]]
) -> None:
    for file, data in filled["whole"][1].items():
        assert data == (folders["whole"] / file).read_bytes(), file
