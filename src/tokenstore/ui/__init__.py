"""The pages people see: server-rendered, real forms, no inline script or style, everything local."""
