"""`rcrun doctor`: what containers need of this host, found by trying. Each probe is a try, and a judgement of what it met."""
