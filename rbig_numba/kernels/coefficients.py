"""Polynomials behind the normal distribution, shared by the kernels and by the Keras layers.

Both are Chebyshev interpolants at 80 nodes, computed with 50 digits and rounded once, in powers of
a variable t in [-1, 1], lowest power first; `tests/kernels/test_coefficients.py` derives them.

Mills ratio, u >= 0, t = (u - 4) / (u + 4):
    M(u) = (1 - Phi(u)) / phi(u) = P(t) / (u + 4), relative error 2e-16 for every u.
    The map of the half line is that of Shepherd and Laframboise (1981), Math. Comp. 36, 249-253.

Normal quantile from a log-probability l = log p, log(1/2) >= l >= -750:
    y = log(-2 l), t = (y - centre) / half_width, Phi^-1(p) = -Q(t), interpolation error 5e-16;
    evaluated in doubles within 24 ulp of 1 near the median and 5 ulp in the tail.
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
