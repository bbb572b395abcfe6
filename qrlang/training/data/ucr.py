"""Data sets of the UCR archive of time series, and of its sister with several channels."""

from __future__ import annotations

import numpy as np

from qrlang.check.training.data_sets import Column
from qrlang.diagnostics.words import did_you_mean
from qrlang.errors import DataError
from qrlang.training.data.columns import Dense
from qrlang.training.data.files import places
from qrlang.training.data.ports import match
from qrlang.training.data.request import Loaded, Request, with_validation
from qrlang.training.data.sources import Records

_NAMES = """
    ACSF1 Adiac ArrowHead BME Beef BeetleFly BirdChicken CBF Car Chinatown ChlorineConcentration
    CinCECGTorso Coffee Computers CricketX CricketY CricketZ Crop DiatomSizeReduction
    DistalPhalanxOutlineAgeGroup DistalPhalanxOutlineCorrect DistalPhalanxTW ECG200 ECG5000
    ECGFiveDays EOGHorizontalSignal EOGVerticalSignal Earthquakes ElectricDevices EthanolLevel
    FaceAll FaceFour FacesUCR FiftyWords Fish FordA FordB FreezerRegularTrain FreezerSmallTrain
    Fungi GunPoint GunPointAgeSpan GunPointMaleVersusFemale GunPointOldVersusYoung Ham
    HandOutlines Haptics Herring HouseTwenty InlineSkate InsectEPGRegularTrain
    InsectEPGSmallTrain InsectWingbeatSound ItalyPowerDemand LargeKitchenAppliances Lightning2
    Lightning7 Mallat Meat MedicalImages MiddlePhalanxOutlineAgeGroup
    MiddlePhalanxOutlineCorrect MiddlePhalanxTW MixedShapesRegularTrain MixedShapesSmallTrain
    MoteStrain NonInvasiveFetalECGThorax1 NonInvasiveFetalECGThorax2 OSULeaf OliveOil
    PhalangesOutlinesCorrect Phoneme PigAirwayPressure PigArtPressure PigCVP Plane PowerCons
    ProximalPhalanxOutlineAgeGroup ProximalPhalanxOutlineCorrect ProximalPhalanxTW
    RefrigerationDevices Rock ScreenType SemgHandGenderCh2 SemgHandMovementCh2
    SemgHandSubjectCh2 ShapeletSim ShapesAll SmallKitchenAppliances SmoothSubspace
    SonyAIBORobotSurface1 SonyAIBORobotSurface2 StarLightCurves Strawberry SwedishLeaf Symbols
    SyntheticControl ToeSegmentation1 ToeSegmentation2 Trace TwoLeadECG TwoPatterns UMD
    UWaveGestureLibraryAll UWaveGestureLibraryX UWaveGestureLibraryY UWaveGestureLibraryZ Wafer
    Wine WordSynonyms Worms WormsTwoClass Yoga

    ArticularyWordRecognition AtrialFibrillation BasicMotions CharacterTrajectories Cricket
    DuckDuckGeese ERing EigenWorms Epilepsy EthanolConcentration FaceDetection FingerMovements
    HandMovementDirection Handwriting Heartbeat InsectWingbeat JapaneseVowels LSST Libras
    MotorImagery NATOPS PEMS-SF PenDigits PhonemeSpectra RacketSports SelfRegulationSCP1
    SelfRegulationSCP2 SpokenArabicDigits StandWalkJump UWaveGestureLibrary
"""
NAMES = tuple(_NAMES.split())


def load(request: Request) -> Loaded:
    name = request.text("name")
    file = f"ucr_{name}.npz"
    here = {
        p.name.removeprefix("ucr_").removesuffix(".npz")
        for _, folder in places(request.data_dir)
        for p in folder.glob("ucr_*.npz")
    }
    if name not in here and name not in NAMES:
        raise DataError(
            "unknown-data",
            f"there is no UCR data set `{name}`",
            did_you_mean(name, {*here, *NAMES})
            or "its names are those of timeseriesclassification.com",
        )
    archive = request.archive(file)
    x_train = archive.array("x_train", "f", 3)
    labels = tuple(archive.text("label_names").split("\n"))
    _match(request, x_train.shape[2], len(labels))
    given, wanted = request.ports
    lengths = archive.array("length_train", "ui", 1)
    inside = np.arange(x_train.shape[1]) < lengths[:, None]
    values = x_train[inside].astype(float)
    mean, spread = values.mean(0), values.std(0)
    spread = np.where(spread > 0, spread, 1.0)

    def split(which: str) -> Records:
        x = Dense(
            x_train if which == "train" else archive.array(f"x_{which}", "f", 3),
            given,
            "the series",
            lengths=archive.array(f"length_{which}", "ui", 1),
            shift=mean,
            factor=1 / spread,
        )
        return Records((x, Dense(archive.array(f"y_{which}", "ui", 1), wanted, "the labels")))

    return Loaded(
        with_validation(request, lambda: split("train"), lambda: split("test"), 0.2),
        labels=labels,
        notes=archive.notes(),
        scale={given.name: (mean.tolist(), spread.tolist())},
        file=archive.path,
    )


def _match(request: Request, channels: int, classes: int) -> None:
    """The archive's columns are known only now."""
    columns = (Column("real", (channels,), seq=True), Column("class", (), classes))
    match(f"ucr({request.text('name')!r})", columns, request.ports)
