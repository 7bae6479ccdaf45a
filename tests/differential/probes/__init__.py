"""Questions put to the real Envoy, one module for each subject. Each `run` yields the lines that `facts` prints."""
