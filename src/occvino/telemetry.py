"""Nothing is sent. OpenVINO reports that it is imported and what it converts, NNCF that it is used; neither asks."""


def telemetry_off() -> None:
    """Keep OpenVINO and NNCF from reporting, and from leaving an identity of the user in ~/intel.

    It holds for the whole process, in which they have one sender, and is to be called before either is imported: what
    the caller's own code has begun to report goes on. The user's consent file is neither read nor written.
    """
    try:
        from openvino_telemetry.utils.opt_in_checker import ConsentCheckResult, OptInChecker
    except ModuleNotFoundError:  # they do without it, and report nothing then
        return

    def declined(*_: object, **__: object) -> ConsentCheckResult:
        return ConsentCheckResult.DECLINED

    OptInChecker.check = declined
