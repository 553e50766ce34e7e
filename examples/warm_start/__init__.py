"""Two moons: flows from random and from fitted starts, trained side by side."""
