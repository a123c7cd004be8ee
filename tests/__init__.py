"""Where a new test goes: a module copywriter/ROOM/x.py is tested in tests/ROOM/test_x.py, a stage in tests/stages/.

What runs through DVC as a whole is in test_pipeline.py, what takes minutes and is also run by hand in stress/.
Fixtures of one folder stay there; those of several are in conftest.py, their helpers in support/.
"""
