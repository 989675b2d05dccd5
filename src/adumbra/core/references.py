"""The papers behind the methods, and which code is based on which paper.

A method names its sources with ``@cites("Gal2016")``; a report lists the ``bibliography(...)`` of the methods it used.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object] | type)


@dataclass(frozen=True)
class Reference:
    """One paper or data set.

    Attributes:
        authors: Authors as printed, shortened with "et al." from the fourth author on.
        title: Title of the paper.
        venue: Journal or conference, volume and pages.
        year: Year of publication.
        doi: Digital object identifier, or an arXiv number as ``"arXiv:1112.5745"``; empty where there is none.
    """

    authors: str
    title: str
    venue: str
    year: int
    doi: str = ""

    def __str__(self) -> str:
        tail = f" {self.doi if self.doi.startswith('arXiv:') else 'doi:' + self.doi}" if self.doi else ""
        title = self.title if self.title.endswith("?") else f"{self.title}."
        return f"{self.authors.removesuffix('.')}. {title} {self.venue}, {self.year}.{tail}"


REFERENCES: dict[str, Reference] = {
    "AbdulRahman2007": Reference(
        "Abdul-Rahman HS, Gdeisat MA, Burton DR, et al.",
        "Fast and robust three-dimensional best path phase unwrapping algorithm",
        "Applied Optics 46(26):6623–6635",
        2007,
        "10.1364/AO.46.006623",
    ),
    "Altschuler2017": Reference(
        "Altschuler J, Weed J, Rigollet P",
        "Near-linear time approximation algorithms for optimal transport via Sinkhorn iteration",
        "NeurIPS 30",
        2017,
        "arXiv:1705.09634",
    ),
    "Angelopoulos2024": Reference(
        "Angelopoulos AN, Bates S, Fisch A, et al.",
        "Conformal risk control",
        "ICLR",
        2024,
        "arXiv:2208.02814",
    ),
    "Ashburner1997": Reference(
        "Ashburner J, Neelin P, Collins DL, et al.",
        "Incorporating prior knowledge into image registration",
        "NeuroImage 6(4):344–352",
        1997,
        "10.1006/nimg.1997.0299",
    ),
    "Ashburner1999": Reference(
        "Ashburner J, Friston KJ",
        "Nonlinear spatial normalization using basis functions",
        "Human Brain Mapping 7(4):254–266",
        1999,
        "10.1002/(SICI)1097-0193(1999)7:4<254::AID-HBM4>3.0.CO;2-G",
    ),
    "Barber1996": Reference(
        "Barber CB, Dobkin DP, Huhdanpaa H",
        "The Quickhull algorithm for convex hulls",
        "ACM Transactions on Mathematical Software 22(4):469–483",
        1996,
        "10.1145/235815.235821",
    ),
    "Barber2000": Reference(
        "Barber PA, Demchuk AM, Zhang J, Buchan AM",
        "Validity and reliability of a quantitative computed tomography score in predicting outcome of hyperacute "
        "stroke before thrombolytic therapy",
        "The Lancet 355(9216):1670–1674",
        2000,
        "10.1016/S0140-6736(00)02237-6",
    ),
    "Barber2021": Reference(
        "Barber RF, Candès EJ, Ramdas A, Tibshirani RJ",
        "Predictive inference with the jackknife+",
        "Annals of Statistics 49(1):486–507",
        2021,
        "10.1214/20-AOS1965",
    ),
    "Bertschinger2014": Reference(
        "Bertschinger N, Rauh J, Olbrich E, et al.",
        "Quantifying unique information",
        "Entropy 16(4):2161–2183",
        2014,
        "10.3390/e16042161",
    ),
    "BertschingerRauh2014": Reference(
        "Bertschinger N, Rauh J",
        "The Blackwell relation defines no lattice",
        "ISIT",
        2014,
        "arXiv:1401.3146",
    ),
    "Billot2023": Reference(
        "Billot B, Greve DN, Puonti O, et al.",
        "SynthSeg: segmentation of brain MRI scans of any contrast and resolution without retraining",
        "Medical Image Analysis 86:102789",
        2023,
        "10.1016/j.media.2023.102789",
    ),
    "Blackwell1953": Reference(
        "Blackwell D",
        "Equivalent comparisons of experiments",
        "Annals of Mathematical Statistics 24(2):265–272",
        1953,
        "10.1214/aoms/1177729032",
    ),
    "Blundell2015": Reference(
        "Blundell C, Cornebise J, Kavukcuoglu K, et al.",
        "Weight uncertainty in neural networks",
        "ICML",
        2015,
        "arXiv:1505.05424",
    ),
    "Bouteille2025": Reference(
        "Bouteille L, Jaus A, Kleesiek J, et al.",
        "Learning to look closer: a new instance-wise loss for small cerebral lesion segmentation",
        "arXiv preprint",
        2025,
        "arXiv:2511.17146",
    ),
    "Brier1950": Reference(
        "Brier GW",
        "Verification of forecasts expressed in terms of probability",
        "Monthly Weather Review 78(1):1–3",
        1950,
        "10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    ),
    "Brown1910": Reference(
        "Brown W",
        "Some experimental results in the correlation of mental abilities",
        "British Journal of Psychology 3(3):296–322",
        1910,
        "10.1111/j.2044-8295.1910.tb00207.x",
    ),
    "Canny1986": Reference(
        "Canny J",
        "A computational approach to edge detection",
        "IEEE Transactions on Pattern Analysis and Machine Intelligence 8(6):679–698",
        1986,
        "10.1109/TPAMI.1986.4767851",
    ),
    "Cardoso2015": Reference(
        "Cardoso MJ, Modat M, Vercauteren T, et al.",
        "Scale factor point spread function matching: beyond aliasing in image resampling",
        "MICCAI 2015, LNCS 9350:675–683",
        2015,
        "10.1007/978-3-319-24571-3_81",
    ),
    "Chalcroft2025": Reference(
        "Chalcroft L, Pappas I, Price CJ, et al.",
        "Synthetic data for robust stroke segmentation",
        "Machine Learning for Biomedical Imaging 3:317–346",
        2025,
        "10.59275/j.melba.2025-f3g6",
    ),
    "Cicek2016": Reference(
        "Çiçek Ö, Abdulkadir A, Lienkamp SS, et al.",
        "3D U-Net: learning dense volumetric segmentation from sparse annotation",
        "MICCAI, LNCS 9901:424–432",
        2016,
        "10.1007/978-3-319-46723-8_49",
    ),
    "Clopper1934": Reference(
        "Clopper CJ, Pearson ES",
        "The use of confidence or fiducial limits illustrated in the case of the binomial",
        "Biometrika 26(4):404–413",
        1934,
        "10.1093/biomet/26.4.404",
    ),
    "Darwish2020": Reference(
        "Darwish EAF, Abdelhameed-El-Nouby M, Geneidy E",
        "Mapping the ischemic penumbra and predicting stroke progression in acute ischemic stroke: the overlooked role "
        "of susceptibility weighted imaging",
        "Insights into Imaging 11:6",
        2020,
        "10.1186/s13244-019-0810-y",
    ),
    "Daxberger2021": Reference(
        "Daxberger E, Kristiadi A, Immer A, et al.",
        "Laplace redux: effortless Bayesian deep learning",
        "NeurIPS",
        2021,
        "arXiv:2106.14806",
    ),
    "DelMoral2006": Reference(
        "Del Moral P, Doucet A, Jasra A",
        "Sequential Monte Carlo samplers",
        "J R Stat Soc B 68:411-436",
        2006,
        "10.1111/j.1467-9868.2006.00553.x",
    ),
    "Depeweg2018": Reference(
        "Depeweg S, Hernández-Lobato JM, Doshi-Velez F, Udluft S",
        "Decomposition of uncertainty in Bayesian deep learning for efficient and risk-sensitive learning",
        "ICML, PMLR 80:1184–1193",
        2018,
        "arXiv:1710.07283",
    ),
    "Dice1945": Reference(
        "Dice LR",
        "Measures of the amount of ecologic association between species",
        "Ecology 26(3):297–302",
        1945,
        "10.2307/1932409",
    ),
    "Ding2021": Reference(
        "Ding Z, Han X, Liu P, Niethammer M",
        "Local temperature scaling for probability calibration",
        "ICCV, 6889–6899",
        2021,
        "arXiv:2008.05105",
    ),
    "Ernst1966": Reference(
        "Ernst RR, Anderson WA",
        "Application of Fourier transform spectroscopy to magnetic resonance",
        "Review of Scientific Instruments 37(1):93–102",
        1966,
        "10.1063/1.1719961",
    ),
    "Field2007": Reference(
        "Field CA, Welsh AH",
        "Bootstrapping clustered data",
        "Journal of the Royal Statistical Society B 69(3):369–390",
        2007,
        "10.1111/j.1467-9868.2007.00593.x",
    ),
    "Finn2018": Reference(
        "Finn C, Lizier JT",
        "Pointwise partial information decomposition using the specificity and ambiguity lattices",
        "Entropy 20(4):297",
        2018,
        "10.3390/e20040297",
    ),
    "Fonov2011": Reference(
        "Fonov V, Evans AC, Botteron K, et al.",
        "Unbiased average age-appropriate atlases for pediatric studies",
        "NeuroImage 54(1):313–327",
        2011,
        "10.1016/j.neuroimage.2010.07.033",
    ),
    "Frangi1998": Reference(
        "Frangi AF, Niessen WJ, Vincken KL, Viergever MA",
        "Multiscale vessel enhancement filtering",
        "MICCAI, LNCS 1496:130–137",
        1998,
        "10.1007/BFb0056195",
    ),
    "Frenzel2007": Reference(
        "Frenzel S, Pompe B",
        "Partial mutual information for coupling analysis of multivariate time series",
        "Physical Review Letters 99:204101",
        2007,
        "10.1103/PhysRevLett.99.204101",
    ),
    "Friston1995": Reference(
        "Friston KJ, Ashburner J, Frith CD, et al.",
        "Spatial registration and normalization of images",
        "Human Brain Mapping 3(3):165–189",
        1995,
        "10.1002/hbm.460030303",
    ),
    "Gal2016": Reference(
        "Gal Y, Ghahramani Z",
        "Dropout as a Bayesian approximation: representing model uncertainty in deep learning",
        "ICML, PMLR 48:1050–1059",
        2016,
        "arXiv:1506.02142",
    ),
    "Garyfallidis2014": Reference(
        "Garyfallidis E, Brett M, Amirbekian B, et al.",
        "Dipy, a library for the analysis of diffusion MRI data",
        "Frontiers in Neuroinformatics 8:8",
        2014,
        "10.3389/fninf.2014.00008",
    ),
    "Geifman2019": Reference(
        "Geifman Y, Uziel G, El-Yaniv R",
        "Bias-reduced uncertainty estimation for deep neural classifiers",
        "ICLR",
        2019,
        "arXiv:1805.08206",
    ),
    "Ghiglia1994": Reference(
        "Ghiglia DC, Romero LA",
        "Robust two-dimensional weighted and unweighted phase unwrapping that uses fast transforms and iterative"
        " methods",
        "Journal of the Optical Society of America A 11(1):107–117",
        1994,
        "10.1364/JOSAA.11.000107",
    ),
    "Gneiting2007": Reference(
        "Gneiting T, Raftery AE",
        "Strictly proper scoring rules, prediction, and estimation",
        "Journal of the American Statistical Association 102(477):359–378",
        2007,
        "10.1198/016214506000001437",
    ),
    "Griffith2014": Reference(
        "Griffith V, Koch C",
        "Quantifying synergistic mutual information",
        "Guided Self-Organization: Inception, 159–190",
        2014,
        "arXiv:1205.4265",
    ),
    "Guo2017": Reference(
        "Guo C, Pleiss G, Sun Y, Weinberger KQ",
        "On calibration of modern neural networks",
        "ICML, PMLR 70:1321–1330",
        2017,
        "arXiv:1706.04599",
    ),
    "Haacke2004": Reference(
        "Haacke EM, Xu Y, Cheng YC, Reichenbach JR",
        "Susceptibility weighted imaging (SWI)",
        "Magnetic Resonance in Medicine 52(3):612–618",
        2004,
        "10.1002/mrm.20198",
    ),
    "Hanley1982": Reference(
        "Hanley JA, McNeil BJ",
        "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
        "Radiology 143(1):29–36",
        1982,
        "10.1148/radiology.143.1.7063747",
    ),
    "Harder2013": Reference(
        "Harder M, Salge C, Polani D",
        "Bivariate measure of redundant information",
        "Physical Review E 87:012130",
        2013,
        "10.1103/PhysRevE.87.012130",
    ),
    "Hastie1989": Reference(
        "Hastie T, Stuetzle W",
        "Principal curves",
        "Journal of the American Statistical Association 84(406):502–516",
        1989,
        "10.1080/01621459.1989.10478797",
    ),
    "HernandezPetzsche2022": Reference(
        "Hernandez Petzsche MR, de la Rosa E, Hanning U, et al.",
        "ISLES 2022: a multi-center magnetic resonance imaging stroke lesion segmentation dataset",
        "Scientific Data 9:762",
        2022,
        "10.1038/s41597-022-01875-5",
    ),
    "Ho2020": Reference(
        "Ho J, Jain A, Abbeel P",
        "Denoising diffusion probabilistic models",
        "NeurIPS 33:6840–6851",
        2020,
        "arXiv:2006.11239",
    ),
    "Hoerl1970": Reference(
        "Hoerl AE, Kennard RW",
        "Ridge regression: biased estimation for nonorthogonal problems",
        "Technometrics 12(1):55–67",
        1970,
        "10.1080/00401706.1970.10488634",
    ),
    "Houlsby2011": Reference(
        "Houlsby N, Huszár F, Ghahramani Z, Lengyel M",
        "Bayesian active learning for classification and preference learning",
        "arXiv preprint",
        2011,
        "arXiv:1112.5745",
    ),
    "Immerkaer1996": Reference(
        "Immerkaer J",
        "Fast noise variance estimation",
        "Computer Vision and Image Understanding 64(2):300–302",
        1996,
        "10.1006/cviu.1996.0060",
    ),
    "Ince2017": Reference(
        "Ince RAA, Giordano BL, Kayser C, et al.",
        "A statistical framework for neuroimaging data analysis based on mutual information estimated via a Gaussian"
        " copula",
        "Human Brain Mapping 38(3):1541–1573",
        2017,
        "10.1002/hbm.23471",
    ),
    "Jaus2025": Reference(
        "Jaus A, Seibold C, Reiß S, et al.",
        "Every component counts: rethinking the measure of success for medical semantic segmentation in multi-instance "
        "segmentation tasks",
        "AAAI",
        2025,
        "arXiv:2410.18684",
    ),
    "Jenkinson2004": Reference(
        "Jenkinson M, Wilson JL, Jezzard P",
        "Perturbation method for magnetic field calculations of nonconductive objects",
        "Magnetic Resonance in Medicine 52(3):471–477",
        2004,
        "10.1002/mrm.20194",
    ),
    "Jiang2021": Reference(
        "Jiang HF, Zhang YQ, Pang JX, et al.",
        "Factors associated with prominent vessel sign on susceptibility-weighted imaging in acute ischemic stroke",
        "Scientific Reports 11:5641",
        2021,
        "10.1038/s41598-021-84269-8",
    ),
    "Kang2017": Reference(
        "Kang DW, Jeong HG, Kim DY, Yang W, Lee SH",
        "Prediction of stroke subtype and recanalization using susceptibility vessel sign on "
        "susceptibility-weighted magnetic resonance imaging",
        "Stroke 48(6):1554–1559",
        2017,
        "10.1161/STROKEAHA.116.016217",
    ),
    "Kendall2017": Reference(
        "Kendall A, Gal Y",
        "What uncertainties do we need in Bayesian deep learning for computer vision?",
        "NeurIPS 30:5574–5584",
        2017,
        "arXiv:1703.04977",
    ),
    "Kingma2021": Reference(
        "Kingma DP, Salimans T, Poole B, Ho J",
        "Variational diffusion models",
        "NeurIPS 34:21696–21707",
        2021,
        "arXiv:2107.00630",
    ),
    "Koenker1978": Reference(
        "Koenker R, Bassett G",
        "Regression quantiles",
        "Econometrica 46(1):33–50",
        1978,
        "10.2307/1913643",
    ),
    "Kraskov2004": Reference(
        "Kraskov A, Stögbauer H, Grassberger P",
        "Estimating mutual information",
        "Physical Review E 69:066138",
        2004,
        "10.1103/PhysRevE.69.066138",
    ),
    "Lakshminarayanan2017": Reference(
        "Lakshminarayanan B, Pritzel A, Blundell C",
        "Simple and scalable predictive uncertainty estimation using deep ensembles",
        "NeurIPS",
        2017,
        "arXiv:1612.01474",
    ),
    "LeBihan1986": Reference(
        "Le Bihan D, Breton E, Lallemand D, et al.",
        "MR imaging of intravoxel incoherent motions: application to diffusion and perfusion in neurologic disorders",
        "Radiology 161(2):401–407",
        1986,
        "10.1148/radiology.161.2.3763909",
    ),
    "Legge2017": Reference(
        "Legge J, Graham A, Male S, et al.",
        "Fluid-attenuated inversion recovery (FLAIR) signal intensity can identify stroke within 6 and 8 hours",
        "Journal of Stroke and Cerebrovascular Diseases 26(7):1582–1587",
        2017,
        "10.1016/j.jstrokecerebrovasdis.2017.02.030",
    ),
    "Lei2018": Reference(
        "Lei J, G'Sell M, Rinaldo A, et al.",
        "Distribution-free predictive inference for regression",
        "Journal of the American Statistical Association 113(523):1094–1111",
        2018,
        "arXiv:1604.04173",
    ),
    "Liu2021": Reference(
        "Liu Z, Lin Y, Cao Y, et al.",
        "Swin transformer: hierarchical vision transformer using shifted windows",
        "IEEE/CVF International Conference on Computer Vision, 10012–10022",
        2021,
        "arXiv:2103.14030",
    ),
    "Liu2025": Reference(
        "Liu P, Aguila AL, Iglesias JE",
        "Unraveling normal anatomy via fluid-driven anomaly randomization",
        "CVPR",
        2025,
        "arXiv:2501.13370",
    ),
    "Lu2004": Reference(
        "Lu H, Clingman C, Golay X, van Zijl PCM",
        "Determining the longitudinal relaxation time (T1) of blood at 3.0 Tesla",
        "Magnetic Resonance in Medicine 52(3):679–682",
        2004,
        "10.1002/mrm.20178",
    ),
    "Lu2012": Reference(
        "Lu H, Xu F, Grgac K, et al.",
        "Calibration and validation of TRUST MRI for the estimation of cerebral blood oxygenation",
        "Magnetic Resonance in Medicine 67(1):42–49",
        2012,
        "10.1002/mrm.22970",
    ),
    "Lu2022": Reference(
        "Lu C, Zhou Y, Bao F, et al.",
        "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models",
        "arXiv preprint",
        2022,
        "arXiv:2211.01095",
    ),
    "Luu2026": Reference(
        "Luu MSK, Pavlovskiy EN, Tuchinov BN",
        "Component-adaptive and lesion-level supervision for improved small structure segmentation in brain MRI",
        "arXiv preprint",
        2026,
        "arXiv:2604.08015",
    ),
    "MacKay1992": Reference(
        "MacKay DJC",
        "Bayesian interpolation",
        "Neural Computation 4(3):415–447",
        1992,
        "10.1162/neco.1992.4.3.415",
    ),
    "Maddox2019": Reference(
        "Maddox WJ, Garipov T, Izmailov P, et al.",
        "A simple baseline for Bayesian uncertainty in deep learning",
        "NeurIPS",
        2019,
        "arXiv:1902.02476",
    ),
    "Mattes2003": Reference(
        "Mattes D, Haynor DR, Vesselle H, et al.",
        "PET-CT image registration in the chest using free-form deformations",
        "IEEE Transactions on Medical Imaging 22(1):120–128",
        2003,
        "10.1109/TMI.2003.809072",
    ),
    "Mehrotra1992": Reference(
        "Mehrotra S",
        "On the implementation of a primal-dual interior point method",
        "SIAM Journal on Optimization 2(4):575–601",
        1992,
        "10.1137/0802028",
    ),
    "Mehrtash2020": Reference(
        "Mehrtash A, Wells WM, Tempany CM, et al.",
        "Confidence calibration and predictive uncertainty estimation for deep medical image segmentation",
        "IEEE Transactions on Medical Imaging 39(12):3868–3878",
        2020,
        "10.1109/TMI.2020.3006437",
    ),
    "Mehta2022": Reference(
        "Mehta R, Filos A, Baid U, et al.",
        "QU-BraTS: MICCAI BraTS 2020 challenge on quantifying uncertainty in brain tumor segmentation – analysis of"
        " ranking scores and benchmarking results",
        "Journal of Machine Learning for Biomedical Imaging 2022:026",
        2022,
        "arXiv:2112.10074",
    ),
    "Molchanova2023": Reference(
        "Molchanova N, Raina V, Malinin A, et al.",
        "Novel structural-scale uncertainty measures and error retention curves: application to multiple sclerosis",
        "ISBI, 1–5",
        2023,
        "10.1109/ISBI53787.2023.10230563",
    ),
    "Monteiro2020": Reference(
        "Monteiro M, Le Folgoc L, Coelho de Castro D, et al.",
        "Stochastic segmentation networks: modelling spatially correlated aleatoric uncertainty",
        "NeurIPS",
        2020,
        "arXiv:2006.06015",
    ),
    "Naeini2015": Reference(
        "Naeini MP, Cooper GF, Hauskrecht M",
        "Obtaining well calibrated probabilities using Bayesian binning",
        "AAAI 29(1):2901–2907",
        2015,
        "10.1609/aaai.v29i1.9602",
    ),
    "Naggara2013": Reference(
        "Naggara O, Raymond J, Domingo Ayllon M, et al.",
        "T2* “susceptibility vessel sign” demonstrates clot location and length in acute ischemic stroke",
        "PLoS ONE 8(10):e76727",
        2013,
        "10.1371/journal.pone.0076727",
    ),
    "Nichol2021": Reference(
        "Nichol AQ, Dhariwal P",
        "Improved denoising diffusion probabilistic models",
        "ICML, PMLR 139:8162–8171",
        2021,
        "arXiv:2102.09672",
    ),
    "Nixon2019": Reference(
        "Nixon J, Dusenberry MW, Zhang L, et al.",
        "Measuring calibration in deep learning",
        "arXiv preprint",
        2019,
        "arXiv:1904.01685",
    ),
    "Olivot2009": Reference(
        "Olivot JM, Mlynash M, Thijs VN, et al.",
        "Optimal Tmax threshold for predicting penumbral tissue in acute stroke",
        "Stroke 40(2):469–475",
        2009,
        "10.1161/STROKEAHA.108.526954",
    ),
    "Otsu1979": Reference(
        "Otsu N",
        "A threshold selection method from gray-level histograms",
        "IEEE Transactions on Systems, Man, and Cybernetics 9(1):62–66",
        1979,
        "10.1109/TSMC.1979.4310076",
    ),
    "Paninski2003": Reference(
        "Paninski L",
        "Estimation of entropy and mutual information",
        "Neural Computation 15(6):1191–1253",
        2003,
        "10.1162/089976603321780272",
    ),
    "Panzeri2007": Reference(
        "Panzeri S, Senatore R, Montemurro MA, Petersen RS",
        "Correcting for the sampling bias problem in spike train information measures",
        "Journal of Neurophysiology 98(3):1064–1072",
        2007,
        "10.1152/jn.00559.2007",
    ),
    "Perez2018": Reference(
        "Perez E, Strub F, de Vries H, et al.",
        "FiLM: visual reasoning with a general conditioning layer",
        "AAAI 32(1):3942–3951",
        2018,
        "10.1609/aaai.v32i1.11671",
    ),
    "Peters2007": Reference(
        "Peters AM, Brookes MJ, Hoogenraad FG, et al.",
        "T2* measurements in human brain at 1.5, 3 and 7 T",
        "Magnetic Resonance Imaging 25(6):748–753",
        2007,
        "10.1016/j.mri.2007.02.014",
    ),
    "Puetz2008": Reference(
        "Puetz V, Sylaja PN, Coutts SB, et al.",
        "Extent of hypoattenuation on CT angiography source images predicts functional outcome in patients with "
        "basilar artery occlusion",
        "Stroke 39(9):2485–2490",
        2008,
        "10.1161/STROKEAHA.107.511162",
    ),
    "Raina2019": Reference(
        "Raina K, Yahorau U, Schmah T",
        "Exploiting bilateral symmetry in brain lesion segmentation",
        "arXiv preprint",
        2019,
        "arXiv:1907.08196",
    ),
    "Romano2019": Reference(
        "Romano Y, Patterson E, Candès EJ",
        "Conformalized quantile regression",
        "Advances in Neural Information Processing Systems 32",
        2019,
        "arXiv:1905.03222",
    ),
    "Ronneberger2015": Reference(
        "Ronneberger O, Fischer P, Brox T",
        "U-Net: convolutional networks for biomedical image segmentation",
        "MICCAI, LNCS 9351:234–241",
        2015,
        "10.1007/978-3-319-24574-4_28",
    ),
    "Rooney2007": Reference(
        "Rooney WD, Johnson G, Li X, et al.",
        "Magnetic field and tissue dependencies of human brain longitudinal 1H2O relaxation in vivo",
        "Magnetic Resonance in Medicine 57(2):308–318",
        2007,
        "10.1002/mrm.21122",
    ),
    "Roy2019": Reference(
        "Roy AG, Conjeti S, Navab N, Wachinger C",
        "Bayesian QuickNAT: model uncertainty in deep whole-brain segmentation for structure-wise quality control",
        "NeuroImage 195:11–22",
        2019,
        "10.1016/j.neuroimage.2019.03.042",
    ),
    "Salehi2017": Reference(
        "Salehi SSM, Erdogmus D, Gholipour A",
        "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
        "MLMI 2017, LNCS 10541:379–387",
        2017,
        "10.1007/978-3-319-67389-9_44",
    ),
    "Salimans2022": Reference(
        "Salimans T, Ho J",
        "Progressive distillation for fast sampling of diffusion models",
        "ICLR",
        2022,
        "arXiv:2202.00512",
    ),
    "Sato2000": Reference(
        "Sato M, Bitter I, Bender MA, Kaufman AE, Nakajima M",
        "TEASAR: tree-structure extraction algorithm for accurate and robust skeletons",
        "Proceedings of the Eighth Pacific Conference on Computer Graphics and Applications, 281–289",
        2000,
        "10.1109/PCCGA.2000.883951",
    ),
    "Schroder2018": Reference(
        "Schröder J, Cheng B, Malherbe C, et al.",
        "Impact of lesion load thresholds on Alberta Stroke Program Early Computed Tomographic Score in "
        "diffusion-weighted imaging",
        "Frontiers in Neurology 9:273",
        2018,
        "10.3389/fneur.2018.00273",
    ),
    "Schwamm2018": Reference(
        "Schwamm LH, Wu O, Song SS, et al.",
        "Intravenous thrombolysis in unwitnessed stroke onset: MR WITNESS trial results",
        "Annals of Neurology 83(5):980–993",
        2018,
        "10.1002/ana.25235",
    ),
    "Song2021": Reference(
        "Song J, Meng C, Ermon S",
        "Denoising diffusion implicit models",
        "ICLR",
        2021,
        "arXiv:2010.02502",
    ),
    "Spearman1904": Reference(
        "Spearman C",
        "The proof and measurement of association between two things",
        "American Journal of Psychology 15(1):72–101",
        1904,
        "10.2307/1412159",
    ),
    "Spearman1910": Reference(
        "Spearman C",
        "Correlation calculated from faulty data",
        "British Journal of Psychology 3(3):271–295",
        1910,
        "10.1111/j.2044-8295.1910.tb00206.x",
    ),
    "Spees2001": Reference(
        "Spees WM, Yablonskiy DA, Oswood MC, et al.",
        "Water proton MR properties of human blood at 1.5 Tesla: magnetic susceptibility, T1, T2, T2*, and "
        "non-Lorentzian signal behavior",
        "Magnetic Resonance in Medicine 45(4):533–542",
        2001,
        "10.1002/mrm.1072",
    ),
    "Stanisz2005": Reference(
        "Stanisz GJ, Odrobina EE, Pun J, et al.",
        "T1, T2 relaxation and magnetization transfer in tissue at 3T",
        "Magnetic Resonance in Medicine 54(3):507–512",
        2005,
        "10.1002/mrm.20605",
    ),
    "Strong1998": Reference(
        "Strong SP, Koberle R, de Ruyter van Steveninck RR, Bialek W",
        "Entropy and information in neural spike trains",
        "Physical Review Letters 80(1):197–200",
        1998,
        "10.1103/PhysRevLett.80.197",
    ),
    "Vaswani2017": Reference(
        "Vaswani A, Shazeer N, Parmar N, et al.",
        "Attention is all you need",
        "Advances in Neural Information Processing Systems 30",
        2017,
        "arXiv:1706.03762",
    ),
    "Wang2019": Reference(
        "Wang G, Li W, Aertsen M, et al.",
        "Aleatoric uncertainty estimation with test-time augmentation for medical image segmentation with "
        "convolutional neural networks",
        "Neurocomputing 338:34–45",
        2019,
        "10.1016/j.neucom.2019.01.103",
    ),
    "Welford1962": Reference(
        "Welford BP",
        "Note on a method for calculating corrected sums of squares and products",
        "Technometrics 4(3):419–420",
        1962,
        "10.1080/00401706.1962.10490022",
    ),
    "Wen2018": Reference(
        "Wen Y, Vicol P, Ba J, et al.",
        "Flipout: efficient pseudo-independent weight perturbations on mini-batches",
        "ICLR",
        2018,
        "arXiv:1803.04386",
    ),
    "Williams2010": Reference(
        "Williams PL, Beer RD",
        "Nonnegative decomposition of multivariate information",
        "arXiv preprint",
        2010,
        "arXiv:1004.2515",
    ),
    "Wilson1927": Reference(
        "Wilson EB",
        "Probable inference, the law of succession, and statistical inference",
        "Journal of the American Statistical Association 22(158):209–212",
        1927,
        "10.1080/01621459.1927.10502953",
    ),
    "Winkler1972": Reference(
        "Winkler RL",
        "A decision-theoretic approach to interval estimation",
        "Journal of the American Statistical Association 67(337):187–191",
        1972,
        "10.1080/01621459.1972.10481224",
    ),
    "Wolleb2022": Reference(
        "Wolleb J, Sandkühler R, Bieder F, et al.",
        "Diffusion models for implicit image segmentation ensembles",
        "Medical Imaging with Deep Learning, PMLR 172:1336–1348",
        2022,
        "arXiv:2112.03145",
    ),
    "Yamamoto2015": Reference(
        "Yamamoto N, Satomi J, Tada Y, et al.",
        "Two-layered susceptibility vessel sign on 3-tesla T2*-weighted imaging is a predictive biomarker of stroke "
        "subtype",
        "Stroke 46(1):269–271",
        2015,
        "10.1161/STROKEAHA.114.007227",
    ),
    "Yang2025": Reference(
        "Yang Z, Yang C, Zhang R, et al.",
        "A voxel-wise uncertainty-guided framework for glioma segmentation using spherical projection-based U-Net and "
        "localized refinement in multi-parametric MRI",
        "arXiv preprint",
        2025,
        "arXiv:2507.15622",
    ),
    "Zadrozny2002": Reference(
        "Zadrozny B, Elkan C",
        "Transforming classifier scores into accurate multiclass probability estimates",
        "KDD, 694–699",
        2002,
        "10.1145/775047.775151",
    ),
    "Zalevskyi2026": Reference(
        "Zalevskyi V, Sanchez T, Kaandorp M, et al.",
        "Maximizing domain generalization in fetal brain tissue segmentation: the role of synthetic data generation, "
        "intensity clustering and real image fine-tuning",
        "Machine Learning for Biomedical Imaging 4",
        2026,
        "arXiv:2411.06842",
    ),
    "Zarrinkoob2015": Reference(
        "Zarrinkoob L, Ambarki K, Wåhlin A, et al.",
        "Blood flow distribution in cerebral arteries",
        "Journal of Cerebral Blood Flow and Metabolism 35(4):648–654",
        2015,
        "10.1038/jcbfm.2014.241",
    ),
    "Zeng2021": Reference(
        "Zeng L, Chen J, Liao H, et al.",
        "Fluid-attenuated inversion recovery vascular hyperintensity in cerebrovascular disease: a review for "
        "radiologists and clinicians",
        "Frontiers in Aging Neuroscience 13:790626",
        2021,
        "10.3389/fnagi.2021.790626",
    ),
    "Zenk2025": Reference(
        "Zenk M, Zimmerer D, Isensee F, et al.",
        "Comparative benchmarking of failure detection methods in medical image segmentation",
        "Medical Image Analysis 101:103392",
        2025,
        "10.1016/j.media.2024.103392",
    ),
    "Zhao2007": Reference(
        "Zhao JM, Clingman CS, Närväinen MJ, et al.",
        "Oxygenation and hematocrit dependence of transverse relaxation rates of blood at 3T",
        "Magnetic Resonance in Medicine 58(3):592–597",
        2007,
        "10.1002/mrm.21342",
    ),
}


def cites(*keys: str) -> Callable[[F], F]:
    """A decorator that records on a function or class which papers it is based on.

    Raises:
        KeyError: A key is not in ``REFERENCES``. It is raised at import time, so that no citation dangles.
    """
    for key in keys:
        REFERENCES[key]

    def recorded(method: F) -> F:
        method.__cites__ = keys  # type: ignore[attr-defined, union-attr]
        return method

    return recorded


def citations(*methods: object) -> tuple[str, ...]:
    """The keys that the methods cite, sorted and without repetition; methods without citations add nothing."""
    return tuple(sorted({key for method in methods for key in getattr(method, "__cites__", ())}))


def bibliography(keys: Iterable[str]) -> tuple[Reference, ...]:
    """The references of the keys, sorted by key and without repetition.

    Raises:
        KeyError: A key is not in ``REFERENCES``.
    """
    return tuple(REFERENCES[key] for key in sorted(set(keys)))
