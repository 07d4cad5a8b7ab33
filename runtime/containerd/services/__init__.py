"""The gRPC services, one file each; `runtime/containerd/README.md` lists which calls who makes."""
