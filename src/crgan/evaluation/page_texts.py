"""Headings of figures, and what a reader needs to know to read them right."""

from __future__ import annotations

from crgan.evaluation.calibration import BINS
from crgan.evaluation.case import BOX_MARGIN_MM

MEANS = {"dice": "Dice", "fnr": "FNR", "precision": "precision", "fpr": "FPR", "hd95_mm": "HD95 mm", "assd_mm": "ASSD mm", "nsd": "NSD"}
LESIONS = {
    "lesion_sensitivity": "found",
    "lesion_precision": "precision",
    "lesion_f1": "F1",
    "lesions": "lesions",
    "lesions_missed": "missed",
    "lesion_false_alarms": "false alarms",
}
INSTANCES = {"seg": "SEG", "det": "DET", "ap_50": "AP at IoU .5", "ap_75": "AP at .75", "ap_50_95": "AP .5–.95", "pq": "PQ"}
PER_CASE = {
    "dice": "Dice",
    "fnr": "FNR",
    "precision": "precision",
    "hd95_mm": "HD95 mm",
    "lesions_missed": "lesions missed",
    "lesion_false_alarms": "false alarms",
    "ece": "ECE",
    "truth_mm3": "truth mm³",
    "false_positive_mm3": "false mm³",
}
BY_SIZE = ("target", "diameter", "lesions", "missed", "found", "Dice", "ASSD mm", "n")

HOW_TO_READ = (
    "Dice: overlap with the expert, 1 is perfect. FNR: share of the truth that was missed. "
    "Precision: share of what was marked that is right. FPR: share of all other voxels that was marked. "
    "HD95: 95 % of the surfaces are closer than this. ASSD: mean distance of the surfaces. "
    "NSD: share of both surfaces that lies within the tolerance. "
    "Below, in brackets: the 95 % interval of the mean, by resampling patients. n: cases in which the first metric is defined."
)
ABOUT_LESIONS = (
    "A lesion is a connected part of the truth, found if any of its voxels was marked; a false alarm is a connected part of the "
    "mask without any true voxel. Found: share of the lesions. Precision: share of the marks that touch a lesion. The last three are "
    "numbers per case."
)
ABOUT_INSTANCES = (
    "SEG and DET: the Cell Tracking Challenge's scores of outlines and of detections. AP: matched objects among matched, missed and "
    "false ones, at an overlap (IoU) above the threshold. PQ: panoptic quality."
)
ABOUT_SIZES = (
    "The first two columns of numbers count the lesions of all cases; found, Dice and ASSD are means over the n cases that have lesions "
    "of the size. Missed lesions count as Dice 0, and have no ASSD. The diameter is that of the ball, in pictures of the disc, of the "
    "same size."
)
ABOUT_SIZE_CHART = (
    "Each mark is a lesion, found above (dots) or missed below (crosses). The lines between are the share found in each class of "
    "sizes, the bands their 95 % intervals (Wilson; lesions are taken as independent, so where few patients have many it is too narrow)."
)
ABOUT_PICTURES = (
    "It begins at the slice that tells most, with most errors and most truth; the slider, or the arrow keys on it, go through the "
    "others that hold something. R: the patient's right, as seen from the feet."
)
ABOUT_FLAT_PICTURES = "Objects that touch are parted by a line."
ABOUT_CALIBRATION = {
    "what": "ECE: mean gap between the probability and how often it came true. Brier: mean squared gap between probability and truth; "
    f"0 is perfect for both. The curve and the pooled figures count the voxels of all cases together, in {BINS} bins.",
    "foreground": "Counted within the foreground of the images, so that air, which nobody takes for a target, does not flatter.",
    "box": f"Counted within the box around truth and mask and {BOX_MARGIN_MM:g} mm beyond (pixels in pictures), so that air, which nobody "
    "takes for a target, does not flatter; with --images it would be the foreground.",
}
