"""Stand-ins for well-known providers: the demo's provider behind a translator that has one provider's wire habits.

A stand-in is data and a few hooks. It insists on what its provider insists on and answers as that one answers, at the
same paths, so that a preset can be walked through over real HTTP. It proves nothing about the provider itself.
"""
