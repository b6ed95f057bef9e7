"""What leaves the platform: text messages and pushes, each behind a port."""

from kelmah.services.messaging.providers.push import PushSender, PushTarget, WebPush
from kelmah.services.messaging.providers.sms import SmsSender, TwilioSms

__all__ = ["PushSender", "PushTarget", "SmsSender", "TwilioSms", "WebPush"]
