"""What a CUDA machine is asked in the minutes for which there is one."""
