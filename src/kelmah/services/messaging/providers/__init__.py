"""What leaves the platform: text messages, pushes, and files to be scanned, each behind a port."""

from kelmah.services.messaging.providers.push import PushSender, PushTarget, WebPush
from kelmah.services.messaging.providers.scanner import Clamd, Scanner
from kelmah.services.messaging.providers.sms import SmsSender, TwilioSms

__all__ = ["Clamd", "PushSender", "PushTarget", "Scanner", "SmsSender", "TwilioSms", "WebPush"]
