"""The loops of the analysis, compiled with numba; the decisions and numbers are those of pycocotools and of tidecv."""
