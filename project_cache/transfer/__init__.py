"""Moving bytes: resumable, verified, patient.

:func:`project_cache.transfer.download.download` fetches one object; what it asks for and what it makes of the
answers is decided by the pure functions of :mod:`project_cache.transfer.plan`.
"""
