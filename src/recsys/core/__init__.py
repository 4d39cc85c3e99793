"""What every room stands on: columns, tables, codes, the log, the cut of time, compiled kernels."""
