"""Polynomials behind the normal distribution, shared by the kernels and by the Keras layers.

All are Chebyshev interpolants at 80 nodes, computed with 50 digits and rounded once, in powers of
the variable named, lowest power first; `tests/kernels/test_coefficients.py` derives them.

Mills ratio, u >= 0, t = (u - 4) / (u + 4):
    M(u) = (1 - Phi(u)) / phi(u) = P(t) / (u + 4), relative error 2e-16 for every u.
    The map of the half line is that of Shepherd and Laframboise (1981), Math. Comp. 36, 249-253.

Normal quantile from a log-probability l = log p, log(1/2) >= l >= -750:
    y = log(-2 l), t = (y - centre) / half_width, Phi^-1(p) = -Q(t), interpolation error 5e-16.

Normal quantile again, as a ratio of polynomials in d = sqrt(-2 l) - sqrt(2 log 2), same range:
    Phi^-1(p) = -d P(d) / Q(d), relative error 1.2e-16: 24 coefficients, all positive, and a root
    for 28 and a logarithm. The zero at the median is a factor, which keeps relative accuracy there.
    Fitted as the Mills ratio below, at 90 nodes in log(1 + d).

Powers of two, |f| <= 1/2: 2^f, relative error 3e-16.

Logarithm, w = s^2, |s| <= (sqrt(2) - 1) / (sqrt(2) + 1): atanh(s) = s + s^3 A(w), relative error
    of the sum 3e-17.

Mills ratio again, 0 <= u <= 38.5, as a ratio of polynomials in v = u sqrt(log2(e) / 2), relative
    error 1.2e-16: 21 coefficients for 24, all positive, so that no rounding is magnified. Fitted
    by least squares at 80 nodes, weighted by the denominator of the fit before.

Radii: `wilson_hilferty` and the limits of a radial map stand at the end, for the same reason.
"""

import math

MILLS_CENTRE = 4.0
MILLS = (
    1.8932190633084853,
    -1.5237709108199835,
    0.9704095548676177,
    -0.4675409629983325,
    0.1513917623110474,
    -0.018900450861711257,
    -0.008722295248200037,
    0.004087855681200072,
    0.0003342443649391365,
    -0.0005792693046478719,
    -4.781834677436329e-06,
    8.809573121072337e-05,
    1.7912419621396938e-06,
    -1.4843277679080294e-05,
    -1.5665301434775512e-06,
    2.568755311229722e-06,
    6.635890483495518e-07,
    -4.00493929251171e-07,
    -1.974812079272745e-07,
    4.473060051450323e-08,
    4.027496644667924e-08,
    -1.4722998923746307e-09,
    -4.232837128668023e-09,
    -3.0073979672398766e-10,
)

QUANTILE_LOG_MIN = -750.0
_Y_LOW, _Y_HIGH = math.log(2.0 * math.log(2.0)), math.log(-2.0 * QUANTILE_LOG_MIN)
QUANTILE_CENTRE = 0.5 * (_Y_HIGH + _Y_LOW)
QUANTILE_HALF_WIDTH = 0.5 * (_Y_HIGH - _Y_LOW)
QUANTILE = (
    6.326634611649334,
    12.295941506247882,
    10.061637822740472,
    6.035515349079544,
    2.6353192981660487,
    0.9034234666022322,
    0.2682456796396722,
    0.067849575983119,
    0.01316822518318616,
    0.003212186664745203,
    0.0007494289745400319,
    -0.0002490716277959556,
    9.319288977948816e-05,
    0.00010477069276503287,
    -9.675372925546054e-05,
    2.5718060780510764e-06,
    4.7875292513832057e-05,
    -2.5391378831138695e-05,
    -1.3880493496732283e-05,
    1.8630397327743535e-05,
    1.0772435661098812e-06,
    -8.647061662156577e-06,
    1.0310238405500334e-06,
    2.779450683375521e-06,
    -4.664458760858034e-07,
    -5.71831678793439e-07,
    6.978968553490847e-08,
    5.6899601937377285e-08,
)

QUANTILE_TOP = (
    1.475664626635606,
    4.264092866523624,
    5.099004554443359,
    3.3184025041924934,
    1.303790960845299,
    0.32317975226341217,
    0.05065389387799023,
    0.004835342769773533,
    0.00026163013521446056,
    7.215835373414113e-06,
    8.576286385477796e-08,
    3.076970307307755e-10,
)

QUANTILE_BOTTOM = (
    1.0,
    3.053652487947554,
    3.862348891590555,
    2.653796911746117,
    1.095748640305377,
    0.2838582611621937,
    0.04628915452102343,
    0.004570842282189728,
    0.00025374744337015024,
    7.117562018504813e-06,
    8.540117289393147e-08,
    3.0769656837824293e-10,
)

EXP2 = (
    1.0,
    0.69314718055995,
    0.24022650695910158,
    0.05550410866444768,
    0.009618129107587253,
    0.0013333558230170627,
    0.00015403530463727982,
    1.5252657257186041e-05,
    1.3215432534254118e-06,
    1.020869083593037e-07,
    7.074194562613105e-09,
)

ATANH = (
    0.3333333333333335,
    0.19999999999949503,
    0.14285714313086528,
    0.11111105553063545,
    0.09091445502524885,
    0.07665832399653132,
    0.07308546618779102,
)

MILLS_TOP = (
    1.2533141373155001,
    2.283645796261356,
    2.0586571180276048,
    1.1790284070721984,
    0.46811562503349574,
    0.13306759406829047,
    0.02707794092729909,
    0.003816383073852105,
    0.00034059734455092755,
    1.4875937751437521e-05,
)

MILLS_BOTTOM = (
    1.0,
    2.761523001878943,
    3.543701203853225,
    2.789783896109744,
    1.496607043910753,
    0.5737445480614684,
    0.15989822980525065,
    0.032171115749115145,
    0.004506082139940081,
    0.00040102272710628036,
    1.7515078202917084e-05,
)

# A coupling's log-scales lie within MAX_LOG_SCALE of 0. Its functions of A columns see rows beyond
# sqrt(A) + REACH at that distance, in the same direction: they are constant along rays there.
# Without that 33 to 99 % of the rays beyond the rows of four real tables had a stretch of rising
# densities after four couplings, with it 0 to 10 %, with a REACH of 3 up to 40 %; and after eight
# the worst test rows were at -152 nats in the mean, not -43.
MAX_LOG_SCALE = 3.0
REACH = 1.0

# A radial map is proportional beyond exp(32) and, downwards, below the least m_k - 4 s_k of the
# mixture of log r: 1,000 standard deviations out in the latent space come back as numbers that
# float32 can square, and no row close to the origin is worth hundreds of nats.
LOG_RADIUS_MAX = 32.0
LOG_RADIUS_REACH = 4.0


def wilson_hilferty(n_columns: int) -> tuple[float, float, float]:
    """Return centre c, slope s and curvature e of a radius g(z) that is nearly chi(m), z normal.

    h = c + s z, b = (h + sqrt(h^2 + e^2)) / 2, g = sqrt(m b^3); back, h = b - e^2 / (4 b). That is
    the cube root of Wilson and Hilferty (1931), "The distribution of chi-square", PNAS 17, 684-688,
    kept positive; the terms in e^2 give b its mean and slope back. KL from chi(m) in nats, for
    m = 2, 3, 10, 63: 9e-4, 5e-4, 7e-5, 1e-6. With the best e for each m but not these terms it is
    4e-3, 2e-3, 9e-5, 1e-6; with c, s and e all fitted 6e-4, 2e-4, 4e-5, 1e-6.
    """
    variance = 2.0 / (9.0 * n_columns)
    slope = math.sqrt(variance)
    curvature = min(2.0 * slope, 0.36)
    lift = 0.25 * curvature * curvature
    return 1.0 - variance - lift, slope * (1.0 + lift), curvature
