"""Sentences of the findings, and of their appendix, against the boards that they sum up.

In each `«model: figure»` stands for the figure, and `«model - other: figure»` for the difference of two models; `in %`
makes a share one in percent, `less` turns the sign. The other may be of another board, `board/model`.
"""

import re

import pytest
from support.told import ROOT, Figure, difference, figure, found_with_power, p_over_rows, says

FINDINGS, APPENDIX = ((ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("findings", "findings-appendix"))
NUMBERS = (
    r"([-+]?\d+(?:\.\d+)?)( ± [\d.]*\d)?(?: points)?(?: %)?( \[[-+\d.]+, [-+\d.]+\])?(?: %)?"
    r"(?:,? p (?:of )?(\d(?:[\d.e-]*\d)?))?"
)

ENDS = r"(?!\s*[\[(](?:95 %: )?[-+\u2212]?\d|,?\s*\(?(?:adjusted )?p\s*[=<]?\s*\d)"
"""No interval and no p stands there in another form, in which nobody would compare it."""

LATE, LATE_10, FLAT = "late-confirmation", "late-confirmation-cifar10-jpeg", "claims-saturation"
SHORT, AT_65 = "cifar10-jpeg-pixel-short", "on-at-65-cifar10-jpeg"
SMOOTH = "late-replication-smoothing"
ON_PGD, RIVALS, STANDARD = "lr-on-pgd-cifar10-jpeg", "rivals-short", "rivals-standard"
NEW, OTHERS = "rivals-confirmation", "rivals-standard-others"
CONTROLS, CIFAR, AGAIN = "late-controls-standard", "late-standard-cifar10-jpeg", "late-replication"
AT = "robust_accuracy[worst-case,{}/255]"
AT_1, AT_2, AT_4, AT_8 = map(AT.format, (1, 2, 4, 8))
AT_0 = "robust_accuracy[worst-case,0]"
ITER, VR = "robust_accuracy[iter-fsgm,8/255]", "centred_vr_10[avgpool]"
D_ADV = "d_adv_relative[avgpool,iter-fsgm,8/255]"
VR_5 = "centred_vr_5[avgpool]"
FIVE = f"«on-at-80: {VR_5} in %» and «normal: {VR_5} in %»"

SENTENCES = [
    (AT_65, f"That 1-LR: «1-lr - normal: {AT_2}» at 2/255 in pixels, under PGD, fast AutoAttack and an attack"),
    (LATE_10, f"(a second run, not registered: «on-at-80 - normal: {AT_8}»); with five new late"),
    (
        AGAIN,
        f"the attack that knows the layer, «on-at-80 - normal: {AT_8}» for «on-at-80 - normal: accuracy less»; "
        f"p «on-at-80 - normal: {AT_8} p», 0.0023 over",
    ),
    (
        SMOOTH,
        f"label smoothing has «label-smoothing - on-at-80: {AT_8}» (p «label-smoothing - on-at-80: {AT_8} p», 0.1",
    ),
    (
        "late-controls",
        f"the norm penalty alone «norm-at-80 - on-at-80: {AT_8}» (p «norm-at-80 - on-at-80: {AT_8} p», 0.1",
    ),
    (SMOOTH, f"networks they have «label-smoothing - {AGAIN}/normal: {AT_8}» and"),
    (SMOOTH, f"comparisons that find «label-smoothing - {AGAIN}/normal: {AT_8} found» and"),
    ("late-controls", f"and «norm-at-80 - normal: {AT_8} raw», in comparisons"),
    ("late-controls", f"and «norm-at-80 - normal: {AT_8} found». 1-LR"),
    (CIFAR, f"under standard AutoAttack and the attack that knows the layer, «on-at-80 - normal: {AT_8}». On top"),
    (AT_65, f"«normal: {VR} in %» without («1-lr - normal: {VR} in %»), at"),
    (AT_65, f"(«1-lr: {VR_5} in %» and «normal: {VR_5} in %», «1-lr - normal: {VR_5} in %»; a"),
    (CIFAR, f"little, if anything ({FIVE}, «on-at-80 - normal: {VR_5} in %», where"),
    (LATE_10, f"with other seeds {FIVE}, «on-at-80 - normal: {VR_5} in %»). On"),
    (LATE, f"fills the first five, too: {FIVE}, «on-at-80 - normal: {VR_5} in %», with"),
    (AGAIN, f"with ten new trainings «on-at-80 - normal: {VR_5} in %». (All"),
    (LATE, "the late layer («on-at-80 - normal: d_adv_relative[avgpool,iter-fsgm,8/255]»); with"),
    (NEW, "with 1-LR no fall is found («1-lr - normal: d_adv_relative[avgpool,pgd,8/255]»)."),
    (SMOOTH, f"with label smoothing («label-smoothing - {AGAIN}/normal: {D_ADV}», ten"),
    (ON_PGD, f"On top of PGD training: «resnet18-1-lr-pgd - resnet18-pgd: {AT_8}» at 8/255 in pixels"),
    (
        AT_65,
        "it leaves that 1-LR «1-lr: robust_accuracy[pgd,4/255]» and the normal network «normal: "
        "robust_accuracy[pgd,4/255]» («1-lr - normal: robust_accuracy[pgd,4/255]», p "
        "«1-lr - normal: robust_accuracy[pgd,4/255] p over rows» over "
        f"that board's rows); standard AutoAttack leaves them «1-lr: {AT_4}» and «normal: {AT_4}»",
    ),
    (
        LATE,
        f"Late, at 8/255 sd, the one radius registered: «on-at-80 - normal: {AT_8}» for "
        "«on-at-80 - normal: accuracy less» of clean accuracy, "
        f"also under standard AutoAttack; p «on-at-80 - normal: {AT_8} p» by itself",
    ),
    (
        STANDARD,
        f"1-LR as in the paper: «1-lr - normal: {AT_8}» at 8/255 in pixels with five trainings for "
        f"«1-lr - normal: accuracy less» of clean accuracy (p «1-lr - normal: {AT_8} p» over the four networks",
    ),
    (RIVALS, f"that have met standard AutoAttack since, «1-lr - normal: {AT_8} p» over the 32 differences of"),
    (
        CONTROLS,
        f"late layer's: the norm penalty has «norm-at-80 - late-standard/on-at-80: {AT_8}», label smoothing "
        f"«label-smoothing - late-standard/on-at-80: {AT_8}» as before",
    ),
    (NEW, f"that they were picked from), «1-lr - normal: {AT_8}» with ten new ones, registered"),
    (
        AT_65,
        "no difference is found between the two: «1-lr: robust_accuracy[pgd,1/255]» (1-LR) and «normal: "
        "robust_accuracy[pgd,1/255]» (normal)",
    ),
    (
        STANDARD,
        f"PGD training keeps «pgd: {AT_8}», the gradient penalty «jacobian: {AT_8}», the normal network "
        f"«normal: {AT_8}»; they cost «pgd - normal: accuracy less» and «jacobian - normal: accuracy less» of clean",
    ),
    (ON_PGD, f"in the last 4 of 15 epochs keeps «resnet18-pgd: {AT_8}», normal networks"),
    (SHORT, f"normal networks «resnet18: {AT_8}» ("),
    (
        ON_PGD,
        f"(«resnet18-pgd - {SHORT}/resnet18: {AT_8}»), for «resnet18-pgd - {SHORT}/resnet18: accuracy less».",
    ),
    (
        AT_65,
        f"ten directions hold «1-lr: {VR} in %» of the variance about the mean there on cifar10-jpeg, and "
        f"«normal: {VR} in %» without",
    ),
    (AT_65, "at a clean accuracy of «1-lr: accuracy» and «normal: accuracy»"),
    (AT_65, f"standard AutoAttack leaves them «1-lr: {AT_4}» and «normal: {AT_4}»"),
    (
        NEW,
        "and not with 1-LR, «1-lr: d_adv_relative[avgpool,pgd,8/255]» against "
        "«normal: d_adv_relative[avgpool,pgd,8/255]» (PGD",
    ),
    (AT_65, "n = 10,000: «normal: accuracy» and «1-lr: accuracy» (normal, 1-LR on from 65 %"),
    (LATE_10, "4 seeds); «normal: accuracy» and «on-at-80: accuracy» (normal, late, 5 seeds)"),
    (
        SHORT,
        "(normal, late, 5 seeds); «resnet18: accuracy», «resnet18-1-lr: accuracy», «resnet18-2-lr: "
        "accuracy» (normal, 1-LR, 2-LR in the last 4 epochs",
    ),
    (LATE, "Fashion-MNIST: «normal: accuracy» and «on-at-80: accuracy» (normal, late)"),
    (RIVALS, "in `rivals-short` «normal: accuracy», «1-lr: accuracy», «2-lr: accuracy»"),
    (
        AT_65,
        "cifar10-jpeg «1-lr: embedding_accuracy_5[avgpool]» against «normal: "
        "embedding_accuracy_5[avgpool]» (1-LR on from 65 %",
    ),
    (AT_65, f"cifar10-jpeg: «1-lr: {VR}» against «normal: {VR}» (1-LR on from 65 %, 4 seeds)"),
    (LATE_10, f"4 seeds), «on-at-80: {VR}» against «normal: {VR}» (late, 5 seeds)"),
    (SHORT, f"5 seeds), «resnet18-1-lr: {VR}» and «resnet18-2-lr: {VR}» against «resnet18: {VR}» (1-LR, 2-LR"),
    (LATE, f"Fashion-MNIST: «on-at-80: {VR}» against «normal: {VR}» (late, 5 seeds)"),
    (AT_65, "now «1-lr: centred_vr_10[layer3]» (1-LR on from 65 %) against «normal: centred_vr_10[layer3]»"),
    (
        LATE_10,
        "cifar10-jpeg: «on-at-80: vr_1_class_mean[avgpool]» against «normal: vr_1_class_mean[avgpool]» "
        "(late, 5 seeds), about b",
    ),
    (
        LATE_10,
        "before the last layer: «on-at-80: d_adv[avgpool,iter-fsgm,8/255]» against «normal: "
        "d_adv[avgpool,iter-fsgm,8/255]»; relative to the activations' squared norm «on-at-80: "
        "d_adv_relative[avgpool,iter-fsgm,8/255]» against «normal: "
        "d_adv_relative[avgpool,iter-fsgm,8/255]»",
    ),
    (
        AT_65,
        "PGD at 1/255 in pixels: «1-lr: d_adv[avgpool,pgd,1/255]» against «normal: "
        "d_adv[avgpool,pgd,1/255]», relative «1-lr: d_adv_relative[avgpool,pgd,1/255]» against «normal: "
        "d_adv_relative[avgpool,pgd,1/255]»",
    ),
    (
        LATE,
        "the relative one falls with the late layer, «on-at-80: d_adv_relative[avgpool,iter-fsgm,8/255]» against "
        "«normal: d_adv_relative[avgpool,iter-fsgm,8/255]»",
    ),
    (
        FLAT,
        "under PGD-20: «1-lr-200: robust_accuracy[pgd-20,8/255]» and «1-lr-200: "
        "robust_accuracy[pgd-20,20/255]» (1-LR), «2-lr-200: robust_accuracy[pgd-20,8/255]» and «2-lr-200: "
        "robust_accuracy[pgd-20,20/255]» (2-LR)",
    ),
    (
        FLAT,
        f"2-LR after 60 epochs keeps «2-lr-60: {AT_8}» and «2-lr-60: {AT.format(20)}» in the worst case",
    ),
    (FLAT, f"at 8/255 sd with an adjusted p of «2-lr-60 - normal-200: {AT_8} p»"),
    (FLAT, f"the one flat curve, «2-lr-20: {AT_8}» and «2-lr-20: {AT.format(20)}» under standard AutoAttack"),
    (FLAT, "is that of 2-LR after 20 epochs, which classifies «2-lr-20: accuracy» correctly"),
    (
        FLAT,
        f"the board's adjusted p, over 22, are «srn-200 - normal-200: {AT_8} p» and «srn-20 - normal-200: {AT_8} p»",
    ),
    (
        FLAT,
        f"in the worst case at 8/255 sd «srn-200 - normal-200: {AT_8}», after 20 epochs «srn-20 - normal-200: {AT_8}»",
    ),
    (
        "smoothing",
        "mean certified L2 radius «1-lr: mean_certified_radius» against «normal: mean_certified_radius», "
        "«1-lr - normal: mean_certified_radius», n",
    ),
    (
        OTHERS,
        f"under standard AutoAttack: «pgd-mean-sparse: {AT_8}» and «pgd: {AT_8}», «pgd-mean-sparse - pgd: {AT_8}»",
    ),
    (RIVALS, f"Fashion-MNIST: «pgd-mean-sparse: {AT_8}» and «pgd: {AT_8}», «pgd-mean-sparse - pgd: {AT_8}»"),
]

OF_THE_APPENDIX = [
    (LATE, "more with a layer: «on-at-80: centred_vr_5[avgpool] in %» against «normal: centred_vr_5[avgpool] in %»"),
    (
        NEW,
        "`late-confirmation`), «1-lr: centred_vr_5[avgpool] in %» against «normal: centred_vr_5[avgpool] in %» (1-LR",
    ),
    (
        OTHERS,
        "suspicious there, has «label-smoothing: d_adv[avgpool,pgd,8/255]» and "
        "«label-smoothing: d_adv_relative[avgpool,pgd,8/255]» (PGD",
    ),
    (SMOOTH, f"its relative D_Adv is «label-smoothing - {AGAIN}/normal: {D_ADV}» beside"),
    (
        OTHERS,
        "CondLR, with «condlr: d_adv[avgpool,pgd,8/255]» and «condlr: d_adv_relative[avgpool,pgd,8/255]», is",
    ),
    (NEW, "not found to with 1-LR (`rivals-confirmation`: «1-lr - normal: d_adv_relative[avgpool,pgd,8/255]»; a"),
    (CIFAR, f"{FIVE} (`late-standard-cifar10-jpeg`: «on-at-80 - normal: {VR_5} in %»,"),
    (LATE_10, f"{FIVE} (`late-confirmation-cifar10-jpeg`: «on-at-80 - normal: {VR_5} in %»,"),
    (
        AGAIN,
        f"the layer costs «normal - on-at-80: {AT_0}», on all 2,000 «on-at-80 - normal: accuracy less».",
    ),
    (OTHERS, f"on the PGD-trained network: «pgd-mean-sparse - pgd: {AT_8}» beside"),
    (
        STANDARD,
        "D_Adv is «normal: d_adv[avgpool,pgd,8/255]» for the normal network, «pgd: d_adv[avgpool,pgd,8/255]» for PGD "
        "training and «jacobian: d_adv[avgpool,pgd,8/255]» for the gradient penalty, the relative one "
        "«normal: d_adv_relative[avgpool,pgd,8/255]», «pgd: d_adv_relative[avgpool,pgd,8/255]» and "
        "«jacobian: d_adv_relative[avgpool,pgd,8/255]»",
    ),
    (AT_65, "the normal network's about 0: «1-lr: vr_10[avgpool] in %» and «normal: vr_10[avgpool] in %»)"),
    (
        AT_65,
        f"Five directions are not shown to hold more («1-lr: {VR_5} in %» and «normal: {VR_5} in %»)",
    ),
    (
        AT_65,
        "before block 4 ten hold «1-lr: centred_vr_10[layer3] in %» and «normal: centred_vr_10[layer3] in %»",
    ),
    (
        AT_65,
        f"That 1-LR: «1-lr - normal: {AT_2}» at 2/255 in pixels, where the normal network keeps «normal: {AT_2}»",
    ),
    (CIFAR, f"the attack that knows the layer, too: «on-at-80 - normal: {AT_8}», in another"),
    (CIFAR, f"and new late networks have «on-at-80 - normal: {ITER}»); fast"),
    (AT_65, f"`on-at-65-cifar10-jpeg`, which keep «normal: {AT_2}» of the same images at 2/255 in pixels, as"),
    (
        AGAIN,
        f"the attack that knows the layer: «on-at-80 - normal: {AT_8}» for «on-at-80 - normal: accuracy less» of clean "
        f"accuracy, p «on-at-80 - normal: {AT_8} p», with every",
    ),
    (AGAIN, f"With 80 % power the test finds «on-at-80 - normal: {AT_8} found». No attack"),
    (
        SMOOTH,
        f"trained with the same seeds, has «label-smoothing - on-at-80: {AT_8}», p "
        f"«label-smoothing - on-at-80: {AT_8} p», in",
    ),
    (SMOOTH, f"With 80 % power the test finds «label-smoothing - on-at-80: {AT_8} found». Next"),
    (
        SMOOTH,
        f"smoothing has «label-smoothing - {AGAIN}/normal: {AT_8}», in a comparison that finds "
        f"«label-smoothing - {AGAIN}/normal: {AT_8} found».",
    ),
    (SMOOTH, "and the late layer «label-smoothing - on-at-80: accuracy» beside it."),
    (AGAIN, f"Before any attack the two keep «normal: {AT_0}» and «on-at-80: {AT_0}» of these images: there"),
    (CIFAR, f"With 80 % power the test finds «on-at-80 - normal: {AT_8} found». Standard"),
    (LATE_10, f"in the registered run, and «on-at-80 - normal: {AT_8}» in a second one"),
    (
        SHORT,
        f"On in the last 4 of 15 epochs: «resnet18-1-lr - resnet18: {AT_2}» at 2/255 in pixels, and with a "
        f"second, weak layer «resnet18-2-lr - resnet18: {AT_2}»",
    ),
    (
        AT_65,
        "that is on from 65 % «1-lr: robust_accuracy[pgd,4/255]» and the normal network «normal: "
        "robust_accuracy[pgd,4/255]» («1-lr - normal: robust_accuracy[pgd,4/255]»",
    ),
    (
        AT_65,
        "over PGD's four radii, «1-lr - normal: robust_accuracy[pgd,4/255] p over rows» over the board's twelve rows "
        "of attacks and radii",
    ),
    (LATE_10, f"p 0.015; «on-at-80 - normal: {ITER} p over rows» over that board's rows of attacks"),
    (
        LATE_10,
        f"in the second run of the late one: «on-at-80: {ITER}» and «normal: {ITER}» («on-at-80 - normal: {ITER}»",
    ),
    (LATE_10, f"fast AutoAttack leaves «on-at-80: {AT_8}» and «normal: {AT_8}»"),
    (ON_PGD, f"a 1-LR adds «resnet18-1-lr-pgd - resnet18-pgd: {AT_8}» at 8/255 in pixels"),
    (
        AT_65,
        "(1/255), leaves «1-lr: robust_accuracy[pgd,1/255]» and «normal: robust_accuracy[pgd,1/255]» right",
    ),
    (
        LATE,
        f"with other seeds: «on-at-80 - normal: {AT_8}» at 8/255 sd for «on-at-80 - normal: accuracy less» "
        "of clean accuracy",
    ),
    (
        "late-controls",
        f"alone has «norm-at-80 - on-at-80: {AT_8}», label smoothing «label-smoothing - on-at-80: {AT_8}»",
    ),
    (
        STANDARD,
        f"1-LR, on at 65 %: «1-lr - normal: {AT_8}» at 8/255 in pixels for «1-lr - normal: accuracy less» "
        "of clean accuracy",
    ),
    (
        NEW,
        f"in a registered test, it is «1-lr - normal: {AT_8}» for «1-lr - normal: accuracy less» of clean accuracy, "
        f"p «1-lr - normal: {AT_8} p»: not",
    ),
    (NEW, f"so that this test finds «1-lr - normal: {AT_8} found» with 80 % power"),
    (STANDARD, f"as its adjusted p is «1-lr - normal: {AT_8} p» (over four differences"),
    (RIVALS, f"over the 32 of a board with weaker attacks it was «1-lr - normal: {AT_8} p»; seed"),
    (STANDARD, f"On Fashion-MNIST they keep «pgd: {AT_8}» and «jacobian: {AT_8}» at 8/255 in pixels"),
    (
        STANDARD,
        f"the normal network keeps «normal: {AT_8}», for «pgd - normal: accuracy less» and «jacobian - "
        "normal: accuracy less» of clean accuracy",
    ),
    (STANDARD, f"On `rivals-standard` 1-LR's at 8/255 is «1-lr - normal: {AT_8} raw p» before that"),
    (
        RIVALS,
        f"the four have «1-lr - normal: {AT_8} p», «norm-penalty - normal: {AT_8} p», «jacobian - normal: {AT_8} p» "
        f"and «pgd - normal: {AT_8} p».",
    ),
    (ON_PGD, f"in the last 4 of 15 epochs keeps «resnet18-pgd: {AT_8}» at 8/255 under standard AutoAttack"),
    (ON_PGD, f"under standard AutoAttack, for «resnet18-pgd - {SHORT}/resnet18: accuracy less» of clean accuracy"),
    (SHORT, f"from the same start, «resnet18: {AT_8}»"),
    (LATE, f"With 80 % power the test finds «on-at-80 - normal: {AT_8} found» with so many images and seeds"),
    (
        "late-controls",
        f"the test finds «label-smoothing - on-at-80: {AT_8} found», and «norm-at-80 - on-at-80: {AT_8} "
        "found» from the norm penalty",
    ),
    (
        CONTROLS,
        f"the norm penalty has «norm-at-80 - late-standard/on-at-80: {AT_8}», label smoothing «label-smoothing - "
        f"late-standard/on-at-80: {AT_8}»; p is",
    ),
    (
        CONTROLS,
        f"Before any attack the two keep «norm-at-80: {AT_0}» and «label-smoothing: {AT_0}» of these images, and",
    ),
    ("late-controls", "the late layer costs «normal - on-at-80: accuracy» of clean accuracy"),
    (
        "late-standard",
        f"Before any attack the two keep «normal: {AT_0}» and «on-at-80: {AT_0}» of these images",
    ),
    ("late-standard", f"the late layer starts «normal - on-at-80: {AT_0}»"),
    (LATE_10, f"the second run would find a true difference of «on-at-80 - normal: {AT_8} found»"),
    (LATE_10, f"fast AutoAttack leaves «on-at-80 - normal: {AT_8}», which is within chance"),
    (FLAT, f"by «2-lr-60 - normal-200: {AT_8}» at 8/255, adjusted p «2-lr-60 - normal-200: {AT_8} p» ("),
    (
        FLAT,
        f"VR_10 about the mean «1-lr-200: {VR}» and «2-lr-200: {VR}»; normal «normal-200: {VR}», SRN, which "
        f"has no LR-Layer, «srn-200: {VR}»",
    ),
    (
        FLAT,
        "For 1-LR, D_Adv falls from «normal-200: d_adv[avgpool,pgd-20,8/255]» to "
        "«1-lr-200: d_adv[avgpool,pgd-20,8/255]»",
    ),
    (
        FLAT,
        "the relative one rises from «normal-200: d_adv_relative[avgpool,pgd-20,8/255]» to «1-lr-200: "
        "d_adv_relative[avgpool,pgd-20,8/255]»",
    ),
    (
        SHORT,
        f"the test finds «resnet18-1-lr - resnet18: {AT_1} found» (1-LR) and «resnet18-2-lr - resnet18: "
        f"{AT_1} found» (2-LR) at 1/255, and «resnet18-1-lr - resnet18: {AT_2} found» and «resnet18-2-lr - "
        f"resnet18: {AT_2} found» at 2/255",
    ),
    (SHORT, "by «resnet18-1-lr - resnet18: robust_accuracy[pgd,4/255]» ("),
    (
        SHORT,
        "and AutoAttack behind: «resnet18-1-lr: robust_accuracy[pgd,4/255]» against «resnet18: "
        f"robust_accuracy[pgd,4/255]», and «resnet18-1-lr: {AT_4}» against «resnet18: {AT_4}»",
    ),
    (AT_65, f"Not confirmed: «1-lr - normal: {AT_2} raw» before adjustment"),
    (
        AT_65,
        "at 4/255 it leaves 1-LR «1-lr: robust_accuracy[pgd,4/255]» and the normal network «normal: "
        "robust_accuracy[pgd,4/255]», «1-lr - normal: robust_accuracy[pgd,4/255]»",
    ),
    (AT_65, f"Standard AutoAttack leaves «1-lr: {AT_4}» and «normal: {AT_4}», and at 8/255 it alone"),
    (AT_65, "finds the «1-lr: robust_accuracy[pgd,8/255]» that PGD leaves 1-LR"),
    (
        AT_65,
        f"are classified correctly in «normal: {AT_0}» (normal) and «1-lr: {AT_0}» (1-LR), «1-lr - normal: "
        f"{AT_0}», before any attack",
    ),
    (ON_PGD, "costs «resnet18-1-lr-pgd - resnet18-pgd: accuracy less» of clean accuracy, and lowers"),
    (
        ON_PGD,
        "of the other boards, «resnet18-pgd: d_adv[avgpool,pgd,1/255]» to «resnet18-1-lr-pgd: "
        "d_adv[avgpool,pgd,1/255]» and «resnet18-pgd: d_adv_relative[avgpool,pgd,1/255]» to "
        "«resnet18-1-lr-pgd: d_adv_relative[avgpool,pgd,1/255]»",
    ),
    (
        ON_PGD,
        f"without an attack: «resnet18-1-lr-pgd: {AT_0}» against «resnet18-pgd: {AT_0}» of these 500 images",
    ),
    (ON_PGD, f"in 4 of 15 epochs, which costs «resnet18-pgd - {SHORT}/resnet18: accuracy less» of clean accuracy"),
    (AT_65, "before adjustment and «1-lr - normal: robust_accuracy[pgd,4/255] p over rows» after that for twelve rows"),
    (LATE_10, f"`lrbench compare` has «on-at-80 - normal: {ITER} p over rows» over that board's rows"),
    (
        RIVALS,
        f"1-LR has «1-lr - normal: {AT_8}» at 8/255, p «1-lr - normal: {AT_8} raw p» before adjustment and "
        f"«1-lr - normal: {AT_8} p» after it",
    ),
    (RIVALS, f"and «1-lr - normal: {AT_4}» at 4/255."),
    (
        RIVALS,
        f"The nuclear norm has «nuclear-norm - normal: {AT_8}» at 8/255, SRN «srn - normal: {AT_8}», "
        f"weights of low rank «low-rank-weights - normal: {AT_8}», CondLR «condlr - normal: {AT_8}»; of the "
        f"controls the norm penalty alone «norm-penalty - normal: {AT_8}» and label smoothing "
        f"«label-smoothing - normal: {AT_8}»",
    ),
    (RIVALS, f"For 1-LR the test finds «1-lr - normal: {AT_8} found» with 80 % power"),
    (
        RIVALS,
        "1-LR «1-lr - normal: accuracy less», 2-LR «2-lr - normal: accuracy less», CondLR «condlr - "
        "normal: accuracy less», weights of low rank «low-rank-weights - normal: accuracy less», the "
        "nuclear norm «nuclear-norm - normal: accuracy less».",
    ),
    (RIVALS, f"and has «2-lr - normal: {AT_4}» at 4/255 and «2-lr - normal: {AT_8}» at 8/255"),
    (RIVALS, f"«mean-sparse - normal: {AT_8}» at 8/255 on the normal network"),
    (RIVALS, f"«pgd-mean-sparse: {AT_8}» against «pgd: {AT_8}» on the PGD-trained one"),
    (
        STANDARD,
        f"1-LR does not: «1-lr - normal: {AT_8}», p «1-lr - normal: {AT_8} raw p» before adjustment and "
        f"«1-lr - normal: {AT_8} p» after it",
    ),
    (STANDARD, f"in a test that finds «1-lr - normal: {AT_8} found» with 80 % power"),
    (STANDARD, f"Nor does the norm penalty alone: «norm-penalty - normal: {AT_8}»"),
    (
        OTHERS,
        f"Of the low-rank family 2-LR has «2-lr - normal: {AT_8}», the nuclear norm «nuclear-norm - normal: {AT_8}», "
        f"SRN «srn - normal: {AT_8}», weights of low rank «low-rank-weights - normal: {AT_8}» and CondLR "
        f"«condlr - normal: {AT_8}», at 8/255",
    ),
    (
        OTHERS,
        f"the test finds «2-lr - normal: {AT_8} found», «nuclear-norm - normal: {AT_8} found», "
        f"«srn - normal: {AT_8} found» and «low-rank-weights - normal: {AT_8} found» with 80 % power (in that order)",
    ),
    (NEW, f"and by theirs it finds «1-lr - normal: {AT_8} found»."),
    (NEW, "With the ten trainings the layer costs «1-lr - normal: accuracy less» of clean accuracy [3.3, 4.7]."),
]


def meant(board, text):
    """Give what stands for `«…»`."""
    models, column, how = re.fullmatch(r"(.+?): (\S+?)( less| in %| found| p| p over rows| raw| raw p)?", text).groups()
    model, _, other = models.partition(" - ")
    if how == " found":
        return found_with_power(board, model, column, other)
    if how == " p over rows":
        return Figure(p_over_rows(board, model, column, other))
    raw = how in {" raw", " raw p"}
    found = difference(board, model, column, other, raw=raw) if other else figure(board, model, column)
    factor = {" less": -1, " in %": 100}.get(how, 1)
    value = found.p if how in {" p", " raw p"} else factor * found.value
    low, high = sorted((factor * found.low, factor * found.high))
    return Figure(value, abs(factor) * found.sd, low, high, found.p)


def literal(part):
    """Give what finds a part of a sentence, wherever its line is broken."""
    return re.escape(part).replace(r"\ ", r"\s+")


CASES = [(FINDINGS, *each) for each in SENTENCES] + [(APPENDIX, *each) for each in OF_THE_APPENDIX]


@pytest.mark.parametrize(("page", "board", "sentence"), CASES, ids=[sentence[:40] for _, _, sentence in CASES])
def test_a_sentence_is_that_of_its_board(page, board, sentence):
    parts = re.split(r"«(.+?)»", sentence)
    pattern = "".join(NUMBERS if place % 2 else literal(part) for place, part in enumerate(parts))
    found = re.search(pattern if parts[-1] else pattern + ENDS, page.replace("*", ""))
    assert found, "the page does not say this any more"
    for place, text in enumerate(parts[1::2]):
        value, sd, interval, p = found.groups()[4 * place : 4 * place + 4]
        cell = "".join(filter(None, (value, sd, interval, p and f", p = {p}")))
        assert says(cell, meant(board, text)), (cell, meant(board, text))
