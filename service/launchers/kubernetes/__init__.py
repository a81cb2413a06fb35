"""Jobs of Kubernetes: loads and runs as pods in the images of MLRun."""
